package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestQueueLimits: a full queue refuses, and says when to try again.
func TestQueueLimits(t *testing.T) {
	r := start(t, noChores)
	if _, err := r.SetQueue(within(t), root, "small", func(c *tasks.QueueConfig) { c.MaxLength, c.MaxBytes = 10, 5000 }); err != nil {
		t.Fatal(err)
	}
	refused := func(wait time.Duration, change ...func(*Submission)) {
		t.Helper()
		_, _, err := r.Submit(within(t), ann, text("f", append(change, in("small"))...))
		var r *RefusedError
		if !errors.As(err, &r) || r.RetryAfter != wait {
			t.Errorf("%v", err)
		}
	}
	refused(0, over(11))
	r.submit(ann, text("f", over(8), in("small")))
	refused(RetryAfter, over(3))
	r.submit(ann, text("f", over(2), in("small")))
	refused(RetryAfter)
	if n, err := r.Purge(within(t), ann, "small"); err != nil || n != 10 {
		t.Fatalf("%d, %v", n, err)
	}
	r.submit(ann, text("f", over(10), in("small"))) // at once
	if n, err := r.Purge(within(t), ann, "small"); err != nil || n != 10 {
		t.Fatalf("%d, %v", n, err)
	}
	refused(RetryAfter, func(s *Submission) { s.Job.Call.Args = []tasks.Arg{{Value: tasks.Value{Data: make([]byte, 6000)}}} })
	r.submit(ann, text("f", in("small")))
}

// TestQueueLimitAtTheSameTime: submissions on their way count.
func TestQueueLimitAtTheSameTime(t *testing.T) {
	r := start(t, noChores)
	if _, err := r.SetQueue(within(t), root, "small", func(c *tasks.QueueConfig) { c.MaxLength = 10 }); err != nil {
		t.Fatal(err)
	}
	kept := make(chan int, 12)
	for range cap(kept) {
		go func() {
			n := 3
			_, _, err := r.Submit(within(t), ann, text("f", over(n), in("small")))
			var refused *RefusedError
			if errors.As(err, &refused) {
				n = 0
			} else if err != nil {
				t.Error(err)
			}
			kept <- n
		}()
	}
	total := 0
	for range cap(kept) {
		total += <-kept
	}
	if total != 9 {
		t.Errorf("%d tasks were kept in a queue of 10", total)
	}
}

// TestOwnerQuota: who keeps too much is refused until he deletes some.
func TestOwnerQuota(t *testing.T) {
	r := start(t, noChores)
	if _, err := r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxBytes = 10_000 }); err != nil {
		t.Fatal(err)
	}
	s := text("f", func(s *Submission) { s.Job.Call.Args = []tasks.Arg{{Value: tasks.Value{Data: make([]byte, 8000)}}} })
	j := r.submit(ann, s)
	var refused *RefusedError
	if _, _, err := r.Submit(within(t), ann, s); !errors.As(err, &refused) || refused.RetryAfter != 0 {
		t.Error(err)
	}
	r.submit(bob, s)
	if _, err := r.Delete(within(t), ann, []string{j.ID}); err != nil {
		t.Fatal(err)
	}
	if err := r.sync(within(t)); err != nil {
		t.Fatal(err)
	}
	r.submit(ann, s)
}

// TestSettings: who may set what, and what is there then.
func TestSettings(t *testing.T) {
	r := start(t, noChores)
	pause := func(c *tasks.QueueConfig) { c.Paused = true }
	if _, err := r.SetQueue(within(t), ann, "q", pause); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	if _, err := r.SetOwner(within(t), ann, "ann", func(*tasks.OwnerConfig) {}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	if err := r.SetWorkerConfig(within(t), ann, tasks.WorkerConfig{Name: "c"}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	var wrong *InvalidError
	if _, err := r.SetQueue(within(t), root, "a b", pause); !errors.As(err, &wrong) {
		t.Error(err)
	}
	r.submit(ann, text("f", over(3), in("q")))
	r.work("w", done)
	if c, err := r.SetQueue(within(t), root, "q", pause); err != nil || !c.Paused {
		t.Errorf("%+v, %v", c, err)
	}
	all, err := r.Queues(within(t))
	if err != nil || len(all) != 2 || all[0].Name != tasks.DefaultQueue || all[0].Workers != 1 || !all[1].Paused || all[1].Pending != 3 {
		t.Errorf("%+v, %v", all, err)
	}
	if _, err := r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxRunning = 3 }); err != nil {
		t.Error(err)
	}
	owners, err := r.Owners(within(t), root)
	if err != nil || len(owners) != 1 || owners[0].MaxRunning != 3 || owners[0].States[tasks.Pending] != 3 {
		t.Errorf("%+v, %v", owners, err)
	}
	if _, err := r.Owner(within(t), bob, "ann"); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if err := r.SetWorkerConfig(within(t), root, tasks.WorkerConfig{Name: "c", Max: 4}); err != nil {
		t.Error(err)
	}
	if cs, err := r.WorkerConfigs(within(t)); err != nil || len(cs) != 1 || cs[0].Max != 4 {
		t.Errorf("%+v, %v", cs, err)
	}
	if err := r.DeleteWorkerConfig(within(t), root, "c"); err != nil {
		t.Error(err)
	}
	if _, err := r.WorkerConfig(within(t), "c"); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if _, err := r.Message(within(t), "nobody", nil); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}

// TestEnvironments: each change is a version, which stays.
func TestEnvironments(t *testing.T) {
	r := start(t, noChores)
	e := tasks.Environment{Name: "model", Packages: []string{"stats"}, Setup: "x <- 1"}
	one, err := r.SetEnvironment(within(t), ann, e)
	if err != nil || one.Version != 1 || one.Owner != "ann" {
		t.Fatalf("%+v, %v", one, err)
	}
	if same, err := r.SetEnvironment(within(t), ann, e); err != nil || same.Version != 1 {
		t.Errorf("%+v, %v", same, err)
	}
	e.Setup = "x <- 2"
	if two, err := r.SetEnvironment(within(t), ann, e); err != nil || two.Version != 2 {
		t.Errorf("%+v, %v", two, err)
	}
	if _, err := r.SetEnvironment(within(t), bob, e); err != nil {
		t.Errorf("the same content by another: %v", err)
	}
	e.Setup = "x <- 3"
	if _, err := r.SetEnvironment(within(t), bob, e); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	for version, want := range map[int]string{0: "x <- 2", 1: "x <- 1", 2: "x <- 2"} {
		if got, err := r.Environment(within(t), "model", version); err != nil || got.Setup != want {
			t.Errorf("version %d: %+v, %v", version, got, err)
		}
	}
	r.submit(ann, text("f", func(s *Submission) { s.Job.Call.Env = "model@1" }))
	if all, err := r.Environments(within(t)); err != nil || len(all) != 1 || all[0].Version != 2 {
		t.Errorf("%+v, %v", all, err)
	}
	for _, s := range []tasks.Source{{Path: "a.R"}, {Path: "/a.R", Name: "\x1b[2Ja.R"}, {Path: "/a.R", Name: strings.Repeat("a", 300)}} {
		var wrong *InvalidError
		if _, err := r.SetEnvironment(within(t), ann, tasks.Environment{Name: "x", Sources: []tasks.Source{s}}); !errors.As(err, &wrong) || wrong.Field != "sources[0]" {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for _, env := range []map[string]string{{"": "1"}, {"A=B": "1"}, {"A": "1\x002"}} {
		var wrong *InvalidError
		if _, err := r.SetEnvironment(within(t), ann, tasks.Environment{Name: "x", Env: env}); !errors.As(err, &wrong) || wrong.Field != "env" {
			t.Errorf("%q: %v", env, err)
		}
	}
	if err := r.DeleteEnvironment(within(t), ann, "model"); err != nil {
		t.Error(err)
	}
	if _, err := r.Environment(within(t), "model", 1); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}
