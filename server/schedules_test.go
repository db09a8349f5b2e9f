package server

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tokens"
)

// withSchedules is a server with a schedule of ann's and one of the server's own user.
func withSchedules(t *testing.T) *site {
	return serve(t, func(f *File) {
		for _, name := range []string{"anns", "mine"} {
			var c Schedule
			configs.SetDefaults(&c)
			c.Name, c.Cron, c.Fun = name, "0 0 1 1 *", "function(n) n"
			c.Args = map[string]any{"n": configs.Object{{Key: "b", Value: int64(1)}, {Key: "a", Value: []any{true, nil}}}}
			if name == "anns" {
				c.Owner = "ann"
			}
			f.Schedules = append(f.Schedules, c)
		}
	})
}

// TestWhoMaySeeAndChangeSchedules: the owner, and who may administer; who may read looks.
func TestWhoMaySeeAndChangeSchedules(t *testing.T) {
	s := withSchedules(t)
	secrets := map[string]string{
		"ann": s.token(t, "ann", tokens.Submit), "bob": s.token(t, "bob", tokens.Submit),
		"eve": s.token(t, "eve", tokens.Read), "root": s.token(t, "root", tokens.Admin),
	}
	f := func(who, method, path, body string, want int) {
		t.Helper()
		if got, _, text := s.ask(t, method, path, body, "Authorization", "Bearer "+secrets[who]); got != want {
			t.Errorf("%s %s %s: %d, want %d: %s", who, method, path, got, want, text)
		}
	}
	for who, sees := range map[string]int{"ann": 1, "bob": 0, "eve": 2, "root": 2} {
		var list api.Schedules
		_, _, text := s.ask(t, "GET", "/v1/schedules", "", "Authorization", "Bearer "+secrets[who])
		if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Schedules) != sees {
			t.Errorf("%s sees %d schedules (%v)", who, len(list.Schedules), err)
		}
	}
	f("bob", "GET", "/v1/schedules/anns", "", 404)
	f("eve", "GET", "/v1/schedules/anns", "", 200)
	f("bob", "POST", "/v1/schedules/anns/run", "{}", 404)
	f("eve", "POST", "/v1/schedules/anns/run", "{}", 403)
	f("ann", "POST", "/v1/schedules/mine/pause", "", 404)
	f("ann", "POST", "/v1/schedules/anns/pause", "", 200)
	f("root", "POST", "/v1/schedules/anns/resume", "", 200)
	f("ann", "POST", "/v1/schedules/anns/run", "", 201)
	f("ann", "POST", "/v1/schedules/anns/run", `{"when": 1}`, 400)
	f("ann", "GET", "/v1/schedules/anns/next?n=3", "", 200)
	f("ann", "GET", "/v1/schedules/anns/next?n=0", "", 400)
	f("ann", "GET", "/v1/runs?state=LOST", "", 400)
	f("ann", "GET", "/v1/runs?schedule=mine", "", 404)
	f("ann", "GET", "/v1/runs?after=01jd3x7v9qk2m4n6p8r0s2t4v6", "", 400)
	f("ann", "POST", "/v1/schedules/anns/backfill", `{"from": "2020-01-01"}`, 400)
	f("ann", "POST", "/v1/schedules/anns/backfill", `{"from": "2020-01-01", "to": "2019-01-01"}`, 400)
	f("ann", "POST", "/v1/schedules/anns/backfill", `{"from": "2020-01-02", "to": "2020-12-31"}`, 409)
	f("ann", "GET", "/v1/runs/01jd3x7v9qk2m4n6p8r0s2t4v6", "", 404)
	f("ann", "POST", "/v1/runs/01jd3x7v9qk2m4n6p8r0s2t4v6/cancel", "", 404)
}

// TestARunIsAJob with its owner, arguments and labels; who cancels the run cancels it.
func TestARunIsAJob(t *testing.T) {
	s := withSchedules(t) // nobody runs its tasks
	run, err := s.c.RunSchedule(t.Context(), "anns", api.RunRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for run.Job == "" {
		if run, err = s.c.Run(t.Context(), run.ID); err != nil {
			t.Fatal(err)
		}
	}
	job, err := s.c.Job(t.Context(), run.Job)
	if err != nil {
		t.Fatal(err)
	}
	if job.Owner != "ann" || job.Name != "anns" || job.Labels["schedule"] != "anns" || job.Labels["run"] != run.ID {
		t.Errorf("%+v", job)
	}
	if _, err := s.c.CancelRun(t.Context(), run.ID); err != nil {
		t.Fatal(err)
	}
	if err := s.c.RunLog(t.Context(), run.ID, 0, true, func(*api.LogLine) error { return nil }); err != nil { // until it has ended
		t.Fatal(err)
	}
	if run, err = s.c.Run(t.Context(), run.ID); err != nil || run.State != "CANCELLED" {
		t.Errorf("%+v (%v)", run, err)
	}
	if job, err = s.c.Job(t.Context(), run.Job); err != nil || job.State != "canceled" {
		t.Errorf("%+v (%v)", job, err)
	}
}

// TestARunGoesOnWithItsJob though its script has gone since: who cancels it then cancels
// the job.
func TestARunGoesOnWithItsJob(t *testing.T) {
	s := serve(t, func(*File) {}) // nobody runs its tasks
	script := filepath.Join(t.TempDir(), "a.R")
	if err := os.WriteFile(script, []byte("1"), 0o666); err != nil {
		t.Fatal(err)
	}
	c := Schedule{Name: "x", File: script}
	configs.SetDefaults(&c)
	w := &scheduled{s: s.Server, file: s.file, c: &c, owner: s.access.self}
	run := &schedule.Run{ID: "01jd3x7v9qk2m4n6p8r0s2t4v6", Schedule: "x", Attempt: 1, Scheduled: time.Unix(1767225600, 0)}
	f := func(cause error, state string) {
		t.Helper()
		ctx, stop := context.WithCancelCause(t.Context())
		stop(cause)
		if err := w.Run(ctx, run, func(o schedule.Outcome) { run.Outcome = o }, func(string) {}); !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
		if job, err := s.c.Job(t.Context(), run.Job); err != nil || job.State != state {
			t.Errorf("%+v (%v)", job, err)
		}
	}
	f(keeper.ErrHandover, "init")
	if err := os.Remove(script); err != nil {
		t.Fatal(err)
	}
	f(keeper.ErrHandover, "init")
	f(keeper.ErrCanceled, "canceled")
}

// TestASubmissionOfASchedule: arguments keep their order, and the time is R's.
func TestASubmissionOfASchedule(t *testing.T) {
	c := Schedule{Name: "x", Fun: "f", TimeAs: "at", Args: map[string]any{"o": configs.Object{{Key: "b", Value: int64(1)}, {Key: "a", Value: []any{true, nil}}}}}
	run := &schedule.Run{ID: "01jd3x7v9qk2m4n6p8r0s2t4v6", Attempt: 2, Scheduled: time.Unix(1767225600, 0)}
	in, err := c.submission(Defaults(), run)
	if err != nil {
		t.Fatal(err)
	}
	if in.Key != "schedule/01jd3x7v9qk2m4n6p8r0s2t4v6/2" || len(in.Args) != 2 || string(in.Args[0].Value.JSON) != `{"b":1,"a":[true,null]}` || in.Args[1].Name != "at" || !serialized(in.Args[1].Value.R) {
		t.Errorf("%+v", in)
	}
	c.File, c.Fun = "nowhere.R", ""
	if _, err := c.submission(Defaults(), run); err == nil || !strings.Contains(err.Error(), "nowhere.R") {
		t.Errorf("a file that is missing: %v", err)
	}
}
