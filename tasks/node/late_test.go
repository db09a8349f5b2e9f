//go:build unix

package node

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// TestCancelBetweenClaimAndRun: a message that comes while the claim is being written is
// not lost.
func TestCancelBetweenClaimAndRun(t *testing.T) {
	w := newWorld(t, broker.Options{})
	j := w.submit(tasks.Job{Call: expr("1")})
	n, err := New(w.b, w.s, Options{ID: "one", CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n.queues = []string{tasks.DefaultQueue}
	h := &held{id: j.ID + ".1", d: &broker.Delivery{Work: broker.Work{Job: j.ID, N: 1}}, nonce: "n", job: &job{Job: j}, task: *w.task(j, 1)}
	n.claiming([]*held{h})
	w.cancel(j, 1)
	n.recheck(t.Context(), []string{h.id, "another.1"})
	n.claimed(t.Context(), []*held{h})
	if !errors.Is(h.cause, errCancelled) {
		t.Errorf("it begins to run: %v", h.cause)
	}
}

// TestGoneParent: what depends on a task that was deleted is IMPOSSIBLE, with a reason
// that a user understands.
func TestGoneParent(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{})
	for _, id := range []string{newID(), newID() + ".1"} {
		call := expr("x")
		call.Args = []tasks.Arg{{Name: "x", Task: id}}
		got := w.await(w.submit(tasks.Job{Call: call}), 1, tasks.Impossible)
		if m := got.Failure.Message; !strings.Contains(m, id) || !strings.Contains(m, "is no more") || strings.Contains(m, "record") || got.Failure.Tasks[0] != id {
			t.Errorf("%+v", got.Failure)
		}
	}
}

// TestStoreAway: a store that cannot be reached is no error of the task.
func TestStoreAway(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n, err := New(w.b, w.s, Options{ID: "one", CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	old := storeFor
	storeFor = time.Nanosecond
	defer func() { storeFor = old }()
	out := unprepared(n.patiently(t.Context(), func() error { return errors.New("connection refused") }))
	if out.Cause != tasks.CauseValues {
		t.Fatalf("%+v", out)
	}
	j := w.submit(tasks.Job{Call: expr("1")})
	task, now := w.task(j, 1), time.Now().UTC()
	if err := task.Claim(tasks.Lease{Worker: "one", Since: now}); err != nil {
		t.Fatal(err)
	}
	if err := task.Finish(j, *out, now); err != nil || task.State != tasks.Pending || !task.NotBefore.After(now) || task.Errors+task.Lost != 0 {
		t.Errorf("%+v, %v", task, err)
	}
}

// TestStoreAwayForMany: tasks of one job that wait for the same values do not wait one after
// the other.
func TestStoreAwayForMany(t *testing.T) {
	w := newWorld(t, broker.Options{})
	s, dir := valuesIn(t)
	if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	n, err := New(w.b, s, Options{ID: "one", CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func(was time.Duration) { storeFor = was }(storeFor)
	storeFor = 500 * time.Millisecond
	ref := strings.Repeat("a1", 32)
	code := tasks.Call{Kind: tasks.CallExpr, Text: true, Code: tasks.Value{Ref: ref}}
	for what, get := range map[string]func(j *job) error{
		"element": func(j *job) error {
			_, _, err := n.element(t.Context(), &held{job: j, task: tasks.Task{N: 1}, nonce: "n"})
			return err
		},
		"plan": func(j *job) error {
			_, err := n.plan(t.Context(), j)
			return err
		},
	} {
		j := &job{Job: &tasks.Job{Call: code, Over: tasks.Over{Blocks: []string{ref}, PerBlock: 1}}}
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() { errs <- get(j) }()
		}
		var first, other *awayError
		if err := <-errs; !errors.As(err, &first) {
			t.Fatalf("%s: %v", what, err)
		}
		for range cap(errs) - 1 {
			if err := <-errs; !errors.As(err, &other) || other != first {
				t.Errorf("%s: it found out anew: %v", what, err)
			}
		}
	}
}

// TestNoGrace: what runs goes back to its queue at once.
func TestNoGrace(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{Grace: -1})
	j := w.submit(tasks.Job{Call: expr("Sys.sleep(300)")})
	w.await(j, 1, tasks.Running)
	w.until("R has it", func() bool { return len(n.Info().Tasks) == 1 })
	n.Drain()
	<-n.done // long before the task would have ended
	if got := w.task(j, 1); got.State != tasks.Pending || causes(got) != "worker_stopped" {
		t.Errorf("%s, %s", got.State, causes(got))
	}
}

// TestOverIsFinal: who was over the job's own limit would be so again.
func TestOverIsFinal(t *testing.T) {
	w := newWorld(t, broker.Options{})
	o := Options{}
	o.Limits.CheckInterval = 100 * time.Millisecond
	w.worker(o)
	busy := expr("x <- 0; repeat x <- x + 1")
	got := w.await(w.submit(tasks.Job{Call: busy, CPU: 200 * time.Millisecond}), 1, tasks.Died)
	if causes(got) != "cpu_limit" {
		t.Errorf("%s", causes(got))
	}
	got = w.await(w.submit(tasks.Job{Call: busy, CPU: 200 * time.Millisecond, Retry: tasks.Retry{Lost: 2, Delay: time.Millisecond}}), 1, tasks.Died)
	if causes(got) != "cpu_limit cpu_limit" {
		t.Errorf("%s", causes(got))
	}
}
