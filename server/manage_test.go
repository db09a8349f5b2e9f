package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tokens"
)

// TestListsAreFilteredAndPaged: jobs and tasks, with no worker in the way.
func TestListsAreFilteredAndPaged(t *testing.T) {
	s := serve(t, nil)
	a := submit(t, s.c, `{"fun": "identity", "over": [1, 2, 3, 4, 5], "name": "first", "labels": {"team": "x"}, "queue": "q1"}`)
	b := submit(t, s.c, `{"expr": "1", "name": "second", "queue": "q2", "delay": "1h"}`)
	c := submit(t, s.c, `{"expr": "1", "name": "second", "depends_on": "`+a.ID+`"}`)
	if _, err := s.c.Cancel(t.Context(), a.ID+".2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { // its leader has heard
		task, err := s.c.Task(t.Context(), c.ID+".1")
		return err == nil && task.State == "IMPOSSIBLE"
	})
	f := func(change func(*filterT), want int) {
		t.Helper()
		page, err := s.c.Tasks(t.Context(), filter(change))
		if err != nil || len(page.Tasks) != want {
			t.Errorf("%d tasks, %v, want %d", len(page.Tasks), err, want)
		}
	}
	f(func(f *filterT) {}, 7)
	f(func(f *filterT) { f.Job = a.ID }, 5)
	f(func(f *filterT) { f.Queue = "q2" }, 1)
	f(func(f *filterT) { f.Name = "second" }, 2)
	f(func(f *filterT) { f.States = []string{"CANCELLED", "IMPOSSIBLE"} }, 2)
	f(func(f *filterT) { f.States = []string{"failed"} }, 2)
	f(func(f *filterT) { f.States = []string{"unfinished"} }, 5)
	f(func(f *filterT) { f.Labels = map[string]string{"team": "x"} }, 5)
	f(func(f *filterT) { f.Labels = map[string]string{"team": "y"} }, 0)
	f(func(f *filterT) { f.Text = "sec" }, 2)
	f(func(f *filterT) { f.Since = time.Now().Add(time.Hour) }, 0)
	f(func(f *filterT) { f.Until = time.Now().Add(time.Hour) }, 7)
	f(func(f *filterT) { f.Owner = "nobody" }, 0)

	var seen []string
	page := filter(func(f *filterT) { f.Limit, f.Oldest = 3, true })
	for {
		got, err := s.c.Tasks(t.Context(), page)
		if err != nil {
			t.Fatal(err)
		}
		for _, task := range got.Tasks {
			seen = append(seen, task.ID)
		}
		if page.After = got.Next; got.Next == "" {
			break
		}
	}
	if len(seen) != 7 || seen[0] != a.ID+".1" || seen[6] != c.ID+".1" {
		t.Errorf("%v", seen)
	}
	jobs, err := s.c.Jobs(t.Context(), filter(func(f *filterT) { f.Name = "second" }))
	if err != nil || len(jobs.Jobs) != 2 || jobs.Jobs[0].ID != c.ID || jobs.Jobs[1].ID != b.ID {
		t.Errorf("%+v, %v", jobs, err)
	}
	counts, err := s.c.Counts(t.Context(), filter(func(f *filterT) { f.Job = a.ID }))
	if err != nil || counts.Total != 5 || counts.States["PENDING"] != 4 || counts.States["CANCELLED"] != 1 {
		t.Errorf("%+v, %v", counts, err)
	}
	if task, err := s.c.Task(t.Context(), a.ID+".5"); err != nil || task.Ahead == nil || *task.Ahead != 3 {
		t.Errorf("%+v, %v", task, err)
	}
	if task, err := s.c.Task(t.Context(), b.ID+".1"); err != nil || !task.Held || task.NotBefore == nil || task.Ahead != nil {
		t.Errorf("%+v, %v", task, err)
	}
	var under api.Tasks
	if status, _, body := s.ask(t, "GET", "/v1/jobs/"+a.ID+"/tasks?state=cancelled", ""); status != 200 || json.Unmarshal([]byte(body), &under) != nil || len(under.Tasks) != 1 {
		t.Errorf("%d %s", status, body)
	}
}

// TestOneKeyIsOneJob: also where the answer to the first submission was lost.
func TestOneKeyIsOneJob(t *testing.T) {
	s := serve(t, nil)
	first := submit(t, s.c, `{"expr": "1", "key": "night", "queue": "nobody"}`)
	again := submit(t, s.c, `{"expr": "1", "key": "night", "queue": "nobody"}`)
	if first.Existing || !again.Existing || again.ID != first.ID {
		t.Errorf("%+v %+v", first, again)
	}
	if status, _, body := s.ask(t, "POST", "/v1/jobs", `{"expr": "1", "id": "`+first.ID+`"}`); status != 200 || !strings.Contains(body, `"existing":true`) {
		t.Errorf("%d %s", status, body)
	}
}

func TestQueuesHaveLimits(t *testing.T) {
	s := serve(t, nil)
	three, paused := 3, true
	q, err := s.c.SetQueue(t.Context(), "small", api.QueueSettings{MaxLength: &three, Paused: &paused})
	if err != nil || !q.Paused || q.MaxLength != 3 {
		t.Fatalf("%+v, %v", q, err)
	}
	submit(t, s.c, `{"fun": "identity", "over": [1, 2], "queue": "small"}`)
	var fault *api.Fault
	_, err = s.c.Submit(t.Context(), &api.Submission{Fun: text("identity"), Over: &api.Value{JSON: []byte("[1,2]")}, Queue: "small"})
	if !errors.As(err, &fault) || fault.Status != 429 || fault.Code != "refused" || !strings.Contains(fault.Message, "small") {
		t.Errorf("%v", err)
	}
	if err := s.c.ResumeQueue(t.Context(), "small"); err != nil {
		t.Error(err)
	}
	if q, err := s.c.Queue(t.Context(), "small"); err != nil || q.Paused || q.Pending != 2 || q.MaxLength != 3 {
		t.Errorf("%+v, %v", q, err)
	}
	if p, err := s.c.PurgeQueue(t.Context(), "small"); err != nil || p.Cancelled != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	if all, err := s.c.Queues(t.Context()); err != nil || len(all.Queues) == 0 {
		t.Errorf("%+v, %v", all, err)
	}
	most := 7
	if o, err := s.c.SetOwner(t.Context(), "ana", api.OwnerSettings{MaxRunning: &most}); err != nil || o.MaxRunning != 7 {
		t.Errorf("%+v, %v", o, err)
	}
	ana := s.as(t, "ana", tokens.Submit)
	if o, err := ana.Owner(t.Context(), "ana"); err != nil || o.MaxRunning != 7 || o.MaxJobs != 0 {
		t.Errorf("%+v, %v", o, err)
	}
}

// TestEnvironmentsHaveVersionsAndSecrets: what others see of them.
func TestEnvironmentsHaveVersionsAndSecrets(t *testing.T) {
	s := serve(t, nil)
	ana, bo := s.as(t, "ana", tokens.Submit), s.as(t, "bo", tokens.Submit)
	e := &api.Environment{Packages: []string{"stats"}, Sources: []api.Source{{Text: "k <- 1", Name: "k.R"}}, Env: map[string]string{"KEY": "secret"}}
	first, err := ana.SetEnvironment(t.Context(), "shared", e)
	if err != nil || first.Version != 1 || first.Owner != "ana" || first.Sources[0].Ref == "" || first.Sources[0].Name != "k.R" {
		t.Fatalf("%+v, %v", first, err)
	}
	if same, err := ana.SetEnvironment(t.Context(), "shared", e); err != nil || same.Version != 1 {
		t.Errorf("%+v, %v", same, err)
	}
	e.Setup = "options(digits = 3)"
	if second, err := ana.SetEnvironment(t.Context(), "shared", e); err != nil || second.Version != 2 {
		t.Errorf("%+v, %v", second, err)
	}
	seen, err := bo.Environment(t.Context(), "shared")
	if err != nil || seen.Env["KEY"] != "***" || seen.Version != 2 {
		t.Errorf("%+v, %v", seen, err)
	}
	if old, err := ana.Environment(t.Context(), "shared@1"); err != nil || old.Setup != "" || old.Env["KEY"] != "secret" {
		t.Errorf("%+v, %v", old, err)
	}
	var fault *api.Fault
	e.Setup = "q()"
	if _, err := bo.SetEnvironment(t.Context(), "shared", e); !errors.As(err, &fault) || fault.Status != 403 {
		t.Errorf("%v", err)
	}
	if _, err := ana.SetEnvironment(t.Context(), "default", &api.Environment{Setup: "x <- 1"}); !errors.As(err, &fault) || fault.Status != 403 {
		t.Errorf("default, in which everybody's tasks run, was set by who may only submit: %v", err)
	}
	if e, err := s.as(t, "max", tokens.Admin).SetEnvironment(t.Context(), "default", &api.Environment{}); err != nil || e.Owner != "max" {
		t.Errorf("default by an admin: %+v, %v", e, err)
	}
	if all, err := bo.Environments(t.Context()); err != nil || len(all.Environments) != 2 || all.Environments[1].Env["KEY"] != "***" {
		t.Errorf("%+v, %v", all, err)
	}
	source, err := ana.Value(t.Context(), first.Sources[0].Ref)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	if b, err := io.ReadAll(source); err != nil || string(b) != "k <- 1" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestWorkerConfigurations(t *testing.T) {
	s := serve(t, nil)
	w := &api.WorkerConfig{Queues: []string{"short", "long"}, Max: 4, IdleTimeout: api.Duration(time.Minute), MaxMemory: 1 << 30}
	if err := s.c.SetWorkerConfig(t.Context(), "night", w); err != nil {
		t.Fatal(err)
	}
	all, err := s.c.WorkerConfigs(t.Context())
	if err != nil || len(all.Configs) != 1 || all.Configs[0].Name != "night" || all.Configs[0].Max != 4 || all.Configs[0].IdleTimeout != w.IdleTimeout {
		t.Errorf("%+v, %v", all, err)
	}
	ana := s.as(t, "ana", tokens.Submit)
	var fault *api.Fault
	if err := ana.SetWorkerConfig(t.Context(), "night", w); !errors.As(err, &fault) || fault.Status != 403 {
		t.Errorf("%v", err)
	}
}

// TestWhatWasSubmittedOutlivesTheServer, and a backup restores it elsewhere.
func TestWhatWasSubmittedOutlivesTheServer(t *testing.T) {
	dir := t.TempDir()
	s := begin(t, config(dir), Options{})
	value := append([]byte("X\n"), bytes.Repeat([]byte("v"), 100<<10)...)
	stored, err := s.c.PutValue(t.Context(), bytes.NewReader(value))
	if err != nil || stored.Size != int64(len(value)) {
		t.Fatalf("%+v, %v", stored, err)
	}
	j := submit(t, s.c, `{"fun": "identity", "over": [1, 2, 3], "name": "kept", "queue": "nobody"}`)
	if _, err := s.c.Cancel(t.Context(), j.ID+".3"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "data", "server.json")); err != nil {
		t.Error(err)
	}
	if _, err := launch(config(dir), Options{}); err == nil || !strings.Contains(err.Error(), "in use by another server, process") {
		t.Errorf("%v", err)
	}
	copied := filepath.Join(dir, "copy")
	if b, err := s.c.Backup(t.Context(), copied); err != nil || b.Bytes == 0 {
		t.Errorf("%+v, %v", b, err)
	}
	s.close()
	if _, err := os.Stat(filepath.Join(dir, "data", "server.json")); err == nil {
		t.Error("server.json is still there")
	}
	look := func(s *site) {
		t.Helper()
		defer s.close()
		if got, err := s.c.Job(t.Context(), j.ID); err != nil || got.Name != "kept" || got.States["PENDING"] != 2 || got.States["CANCELLED"] != 1 {
			t.Errorf("%+v, %v", got, err)
		}
		v, err := s.c.Value(t.Context(), stored.Ref)
		if err != nil {
			t.Error(err)
			return
		}
		defer v.Close()
		if b, err := io.ReadAll(v); err != nil || !bytes.Equal(b, value) {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	look(begin(t, config(dir), Options{}))
	restored := config(filepath.Join(dir, "elsewhere"))
	if err := os.MkdirAll(restored.Data, 0o755); err != nil { // as mkdir makes it
		t.Fatal(err)
	}
	if err := Restore(t.Context(), restored, copied); err != nil {
		t.Fatal(err)
	}
	look(begin(t, restored, Options{}))
	var wrong *ConfigError
	if err := Restore(t.Context(), restored, copied); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "has a store already") {
		t.Errorf("%v", err)
	}
	if err := Import(t.Context(), config(dir), dir); !errors.As(err, &wrong) {
		t.Errorf("%v", err)
	}
}

// TestAStoreThatIsHalfRestoredIsNotServed: the tasks that it lacks would count as gone.
func TestAStoreThatIsHalfRestoredIsNotServed(t *testing.T) {
	f := config(t.TempDir())
	begin(t, f, Options{}).close()
	durability, err := broker.ParseDurability(f.Durability)
	if err != nil {
		t.Fatal(err)
	}
	b, err := broker.Open(t.Context(), broker.Options{Dir: filepath.Join(f.Data, "nats"), Durability: durability})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Write(t.Context(), broker.Write{Subject: "rp.k.importing", Data: []byte("backup of yesterday")}) // as Restore begins
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	var wrong *ConfigError
	s, err := launch(f, Options{})
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "part of the backup of yesterday") {
		t.Errorf("%v", err)
	}
	if err == nil {
		s.close()
	}
}

func TestWorkersAnswer(t *testing.T) {
	s := withR.get(t)
	var all *api.Workers
	eventually(t, func() bool {
		var err error
		all, err = s.c.Workers(t.Context())
		return err == nil && len(all.Workers) == 1
	})
	w := all.Workers[0]
	if w.Max != 2 || len(w.Queues) != 2 || w.Pid != os.Getpid() {
		t.Errorf("%+v", w)
	}
	f := func(m api.Message, want string) {
		t.Helper()
		got, err := s.c.Message(t.Context(), w.ID, m)
		if err != nil || !strings.Contains(string(got), want) {
			t.Errorf("%+v: %s, %v, want %s", m, got, err, want)
		}
	}
	f(api.Message{Type: "ping"}, `"ok":true`)
	f(api.Message{Type: "echo", Text: "hello"}, "hello")
	f(api.Message{Type: "load"}, "s15")
	f(api.Message{Type: "pause"}, `"ok":true`)
	f(api.Message{Type: "resume"}, `"ok":true`)
	if one, err := s.c.Worker(t.Context(), w.ID); err != nil || one.ID != w.ID {
		t.Errorf("%+v, %v", one, err)
	}
	ana := s.as(t, "ana", tokens.Submit)
	var fault *api.Fault
	if _, err := ana.Message(t.Context(), w.ID, api.Message{Type: "eval", Text: "1"}); !errors.As(err, &fault) || fault.Status != 403 {
		t.Errorf("%v", err)
	}
	if err := s.c.WorkerLog(t.Context(), w.ID, 0, false, func(*api.LogLine) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestFiguresForPrometheus: what a scrape has, and whom readiness tells what.
func TestFiguresForPrometheus(t *testing.T) {
	s := withR.get(t)
	j := submit(t, s.c, `{"fun": "identity", "over": [1, 2], "queue": "figures"}`)
	status, _, body := s.ask(t, "GET", "/metrics", "")
	for _, want := range []string{`rpipe_queue_tasks{queue="figures",state="pending"} 2`, `rpipe_tasks{state="PENDING"}`, "rpipe_pool_workers", "rpipe_workers{state=", "rpipe_index_behind"} {
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, no %s in\n%s", status, want, body)
		}
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, _, body := s.ask(t, "GET", path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if out, err := s.c.Delete(t.Context(), j.ID); err != nil || !out.Outcomes[0].OK || out.Outcomes[0].Count != 2 {
		t.Errorf("%+v, %v", out, err)
	}
	s.fault(t, 404, "GET", "/v1/jobs/"+j.ID, "")
}
