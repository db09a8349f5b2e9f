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

// still is a worker that listens, and claims what a test has it claim.
func (w *world) still(o Options) *Node {
	w.Helper()
	o.CacheDir, o.Base, o.Max = w.TempDir(), bare(), 1
	n, err := New(w.b, w.s, o)
	if err != nil {
		w.Fatal(err)
	}
	if err := n.start(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(n.end)
	return n
}

// claimOne claims what comes next, as claimTasks does.
func (w *world) claimOne(n *Node) {
	w.Helper()
	ds, err := n.lanes.Next(w.Context(), 1)
	if err != nil {
		w.Fatal(err)
	}
	n.claim(ds)
}

// What is on its way while the worker is told otherwise is not begun.
func TestClaimsWhileTheWorkerIsTold(t *testing.T) {
	f := func(name string, tell func(n *Node)) {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, broker.Options{})
			n := w.still(Options{ID: "one"})
			job := w.submit(tasks.Job{Call: expr("1")})
			ds, err := n.lanes.Next(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			tell(n)
			n.claim(ds)
			if got := w.task(job, 1); got.State != tasks.Pending || got.Attempt != 0 || len(n.ready) != 0 || len(n.held) != 0 {
				t.Errorf("%s, %d ready, %d held", got.State, len(n.ready), len(n.held))
			}
		})
	}
	f("pause", func(n *Node) { _ = n.pause(true) })
	f("other queues", func(n *Node) { _ = n.setQueues([]string{"other"}) })
	f("drain", func(n *Node) { n.Drain() })
}

// A queue that is paused has nothing claimed, not even what another worker has lost.
func TestPausedQueueAndALostTask(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.still(Options{ID: "one"})
	job := w.submit(tasks.Job{Call: expr("1")})
	lost := w.task(job, 1)
	if err := lost.Claim(tasks.Lease{Worker: "gone", Nonce: "x", Since: time.Now().UTC()}); err != nil {
		t.Fatal(err)
	}
	w.write(tasks.TaskSubject(job.ID, 1), lost)
	w.write(tasks.QueueSubject(job.Queue), tasks.QueueConfig{Name: job.Queue, Paused: true})
	w.claimOne(n)
	if got := w.task(job, 1); got.State != tasks.Running || got.Lease.Worker != "gone" {
		t.Errorf("%s %+v", got.State, got.Lease)
	}
}

func (w *world) write(subject string, v any) {
	w.Helper()
	if _, err := w.b.Write(w.Context(), broker.Write{Subject: subject, Data: w.json(v), Any: true}); err != nil {
		w.Fatal(err)
	}
}

// The record of a job that cannot be read keeps no other from running.
func TestUnreadableJob(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.still(Options{ID: "one"})
	bad := w.submit(tasks.Job{Call: expr("1")})
	w.write(tasks.JobSubject(bad.ID), map[string]any{"id": bad.ID, "n": "many"})
	good := w.submit(tasks.Job{Call: expr("1")})
	var ds []*broker.Delivery
	w.until("both have come", func() bool {
		some, err := n.lanes.Next(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		ds = append(ds, some...)
		return len(ds) == 2
	})
	n.claim(ds)
	if s := w.task(good, 1).State; s != tasks.Running {
		t.Errorf("%s", s)
	}
	if s := w.task(bad, 1).State; s != tasks.Pending {
		t.Errorf("%s", s)
	}
	n.drain(nil)
	n.giveBack()
}

// A write of a record that seemed to fail, and comes after all, costs no result.
func TestResultAfterALateWrite(t *testing.T) {
	w := newWorld(t, broker.Options{AckWait: 2 * time.Second})
	w.worker(Options{ID: "one"})
	code, open := gated(t)
	job := w.submit(tasks.Job{Call: expr(code + "; 'done'")})
	running := w.await(job, 1, tasks.Running)
	running.Lease.Pid = 4711
	w.write(tasks.TaskSubject(job.ID, 1), running)
	open()
	if got := w.await(job, 1, tasks.Complete); causes(got) != "done" {
		t.Errorf("%s", causes(got))
	}
}

// A worker waits for what others give back on its behalf.
func TestGivenBackAtTheEnd(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one"})
	code, open := gated(t)
	first := w.submit(tasks.Job{Call: expr(code)})
	w.until("R has it", func() bool { return n.Info().Busy == 1 })
	// A task that was taken from a lost worker waits for R.
	second := w.submit(tasks.Job{Call: expr("1"), Queue: "other"})
	lost := w.task(second, 1)
	if err := lost.Claim(tasks.Lease{Worker: "one", Nonce: "x", Since: time.Now().UTC()}); err != nil {
		t.Fatal(err)
	}
	w.write(tasks.TaskSubject(second.ID, 1), lost)
	lost = w.task(second, 1)
	lanes, err := w.b.Lanes(t.Context(), []string{"other"})
	if err != nil {
		t.Fatal(err)
	}
	defer lanes.Close()
	ds, err := lanes.Next(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	h := &held{id: lost.ID(), d: ds[0], job: &job{Job: second}, nonce: "x", since: time.Now(), task: *lost}
	n.mu.Lock()
	n.held[h.id] = h
	n.mu.Unlock()
	n.Drain()
	open()
	w.await(first, 1, tasks.Complete)
	select {
	case <-n.done:
		t.Fatal("it has ended, and something is held")
	case <-time.After(200 * time.Millisecond): // nothing tells that it waits
	}
	n.undo([]*held{h})
	<-n.done
	if got := w.task(second, 1); got.State != tasks.Pending || causes(got) != "worker_stopped" {
		t.Errorf("%s %s", got.State, causes(got))
	}
}

// Two workers of one name would answer for each other.
func TestNameThatIsTaken(t *testing.T) {
	w := newWorld(t, broker.Options{})
	first := w.worker(Options{ID: "one"})
	w.tell("one", tasks.Message{Type: "ping"})
	second := w.worker(Options{ID: "one"})
	<-second.done
	if second.err == nil || !strings.Contains(second.err.Error(), "there is a worker one already") {
		t.Errorf("%v", second.err)
	}
	first.end()
	third := w.worker(Options{ID: "one"})
	w.await(w.submit(tasks.Job{Call: expr("1")}), 1, tasks.Complete)
	third.end()
}

func TestStopNow(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one"})
	job := w.submit(tasks.Job{Call: expr("Sys.sleep(60)")})
	w.until("R has it", func() bool { return n.Info().Busy == 1 })
	w.tell("one", tasks.Message{Type: "stop", Text: tasks.StopNow})
	<-n.done
	if got := w.task(job, 1); got.State != tasks.Pending || causes(got) != "worker_stopped" {
		t.Errorf("%s %s", got.State, causes(got))
	}
}

// A store of values that is away for a moment costs no result.
func TestValuesAreAwayForAMoment(t *testing.T) {
	w := newWorld(t, broker.Options{})
	s, dir := valuesIn(t)
	w.s = s
	n := w.worker(Options{ID: "one"})
	code, open := gated(t)
	job := w.submit(tasks.Job{Call: expr(code + "; numeric(1e5)")})
	w.until("R has it", func() bool { return len(n.Info().Tasks) == 1 && n.pool.Stats().Total.Busy == 1 })
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	open()
	w.until("R is done", func() bool { return n.pool.Stats().Total.Busy == 0 })
	since := time.Now()
	w.until("it has tried", func() bool { return w.task(job, 1).State.Final() || time.Since(since) > time.Second })
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	if got := w.await(job, 1, tasks.Complete); got.Result.Size < 8e5 {
		t.Errorf("%+v", got.Result)
	}
}

// TestWorkTellsOfAnOldRecord: what came with the work is believed only as long as the
// record is as it was.
func TestWorkTellsOfAnOldRecord(t *testing.T) {
	w := newWorld(t, broker.Options{})
	j := w.submit(tasks.Job{Call: r("function(x) x"), Over: tasks.Over{}}, number64(1), number64(2))
	subject := tasks.TaskSubject(j.ID, 1)
	now := w.task(j, 1)
	now.Attempt = 1 // of a worker that is gone
	if _, err := w.b.Write(t.Context(), broker.Write{Subject: subject, Data: w.json(now), Expect: now.Rev}); err != nil {
		t.Fatal(err)
	}
	w.worker(Options{})
	if got := w.end(j); got[tasks.Complete] != 2 {
		t.Error(got)
	}
	if got := w.task(j, 1).Attempt; got != 2 {
		t.Errorf("it ran as attempt %d, of the record that came with the work", got)
	}
}
