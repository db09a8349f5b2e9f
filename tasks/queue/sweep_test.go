package queue

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// leads runs one chore once, as the leader would.
func (r *rig) leads(chore func(*leader) error) {
	r.t.Helper()
	seq, err := r.b.LastSeq(within(r.t))
	if err == nil {
		err = r.x.Sync(within(r.t), seq)
	}
	if err := errors.Join(err, chore(newLeader(r.Queue))); err != nil {
		r.t.Fatal(err)
	}
}

// TestOrphans: messages that got lost are sent anew.
func TestOrphans(t *testing.T) {
	r := start(t, noChores)
	j := r.submit(ann, text("a", over(3)))
	lose := func() {
		t.Helper()
		if err := r.b.Purge(within(t), tasks.DefaultQueue); err != nil {
			t.Fatal(err)
		}
	}
	queued := func(want int64) { t.Helper(); r.queued(tasks.DefaultQueue, want) }
	lose()
	r.leads(func(l *leader) error { return l.orphans(within(t), true) })
	queued(3)
	lose()
	r.o.Sweep = time.Nanosecond
	r.leads(func(l *leader) error {
		if err := l.orphans(within(t), false); err != nil {
			return err
		}
		queued(0) // they might be on their way
		return l.orphans(within(t), false)
	})
	queued(3)
	r.work("w", done)
	r.wait(j.ID)
}

// TestLostWorkers: tasks of a worker that is gone are taken from it, some times.
func TestLostWorkers(t *testing.T) {
	r := start(t, noChores)
	r.o.LostAfter = 0
	leaves := func(*tasks.Task, *tasks.Job) tasks.Outcome { return tasks.Outcome{} }
	j := r.submit(ann, text("a", func(s *Submission) { s.Job.Retry.Lost = 2 }))
	id := j.ID + ".1"
	for attempt := 1; attempt <= 2; attempt++ {
		w := r.work("w", leaves)
		r.becomes(id, tasks.Running)
		lost := func() { r.leads(func(l *leader) error { return l.lost(within(t), false) }) }
		lost()
		if got := r.task(id); got.State != tasks.Running || got.Attempt != attempt {
			t.Errorf("%+v: its worker is alive", got)
		}
		w.stop()
		if err := r.b.Withdrawn(within(t), tasks.WorkerKey("w")); err != nil {
			t.Fatal(err)
		}
		workers, err := r.Workers(within(t))
		if err != nil || len(workers) != 1 || workers[0].State != Lost || workers[0].Tasks[0] != id {
			t.Errorf("%+v, %v", workers, err)
		}
		// Its message is still held, so it is the record that is looked at.
		if err := r.b.Withdraw(within(t), []broker.Work{work(r.task(id))}); err != nil {
			t.Fatal(err)
		}
		lost()
		if got := r.task(id); attempt == 1 && (got.State != tasks.Pending || got.Lost != 1 || got.Past[0].Cause != tasks.CauseHost) {
			t.Errorf("%+v", got)
		}
	}
	if got := r.task(id); got.State != tasks.Died || got.Failure.Cause != tasks.CauseHost || len(got.Past) != 2 {
		t.Errorf("%+v", got)
	}
}

// TestIncomplete: what a crash left of a submission, a retry or a deletion is finished.
func TestIncomplete(t *testing.T) {
	r := start(t, noChores)
	finish := func() { t.Helper(); r.leads(func(l *leader) error { return l.incomplete(within(t), true) }) }
	drop := func(j *tasks.Job, ns ...int) {
		t.Helper()
		for _, n := range ns {
			if err := r.erase(within(t), tasks.TaskSubject(j.ID, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	j := r.submit(ann, text("fail", over(1500)))
	drop(j, 2, 3, 1400)
	finish()
	for _, n := range []int{2, 1400} {
		if got := r.task(tasks.TaskID(j.ID, n)); got.State != tasks.Pending {
			t.Errorf("%+v", got)
		}
	}
	w := r.work("w", byCode)
	r.wait(j.ID)
	w.stop()
	// Of a retry, the job was written, and some of the old tasks were moved.
	out, err := r.Retry(within(t), ann, []string{tasks.TaskID(j.ID, 5), tasks.TaskID(j.ID, 6), tasks.TaskID(j.ID, 7)}, RetryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	k, _ := keyOf(out[0].NewID)
	again, _, err := r.job(within(t), k.job)
	if err != nil {
		t.Fatal(err)
	}
	drop(again, 1, 2, 3)
	old := r.task(tasks.TaskID(j.ID, 6))
	old.State, old.MovedTo = tasks.Error, ""
	r.put(old)
	old = r.task(tasks.TaskID(j.ID, 7))
	old.MovedTo = tasks.TaskID(newID(), 1)
	r.put(old)
	finish()
	if a, b, c := r.task(again.ID+".1"), r.task(again.ID+".2"), r.task(again.ID+".3"); a.State != tasks.Pending || b.RootN != 6 || c.State != tasks.Missing {
		t.Errorf("%+v\n%+v\n%+v", a, b, c)
	}
	if got := r.task(tasks.TaskID(j.ID, 6)); got.State != tasks.Moved || got.MovedTo != again.ID+".2" {
		t.Errorf("%+v", got)
	}
	finish() // there is nothing left to do
	if got := r.task(again.ID + ".3"); got.State != tasks.Missing {
		t.Errorf("%+v", got)
	}
	// Of a deletion, it was announced.
	rem := removal{all: map[string]map[int]*tasks.Task{again.ID: {1: nil, 2: nil, 3: nil}, j.ID: {9: nil}}}
	if _, err := r.announceRemoval(within(t), []string{again.ID, j.ID}, &rem); err != nil {
		t.Fatal(err)
	}
	finish()
	if _, err := r.Job(within(t), ann, again.ID); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	if a, b := r.task(again.ID+".1"), r.task(tasks.TaskID(j.ID, 10)); a.State != tasks.Missing || b.State != tasks.Error {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// put writes a record, whatever it was.
func (r *rig) put(t *tasks.Task) {
	r.t.Helper()
	w, err := newTask(t)
	if err == nil {
		w.Any = true
		_, err = r.write(within(r.t), w)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestExpired: records go when their time is over, and jobs with their last one.
func TestExpired(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", done)
	short := r.submit(ann, text("a", over(3), func(s *Submission) { s.Job.ResultTTL, s.Job.Key = time.Millisecond, "k" }))
	long := r.submit(ann, text("a", over(3), func(s *Submission) { s.Job.ResultTTL = time.Hour }))
	waits := r.submit(ann, text("a", in("nobody"), func(s *Submission) { s.Job.ResultTTL = time.Millisecond }))
	r.wait(short.ID, long.ID)
	w.stop()
	end := r.task(short.ID + ".3").Ended
	for !time.Now().After(end.Add(2 * time.Millisecond)) {
		continue // it is as good as over
	}
	r.leads(func(l *leader) error { return l.expired(within(t), false) })
	if _, err := r.Job(within(t), ann, short.ID); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	for id, want := range map[string]tasks.State{short.ID + ".1": tasks.Missing, long.ID + ".1": tasks.Complete, waits.ID + ".1": tasks.Pending} {
		if got := r.task(id); got.State != want {
			t.Errorf("%+v, want %s", got, want)
		}
	}
}

// TestAwaitedStay: what others wait for does not expire, so that any leader can tell that
// it was COMPLETE, and its value is there for them.
func TestAwaitedStay(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", done)
	short := r.submit(ann, text("a", over(3), func(s *Submission) { s.Job.ResultTTL = time.Millisecond }))
	slow := r.submit(ann, text("a", in("slow")))
	child := r.submit(ann, text("b", after(short.ID, slow.ID+".1")))
	r.wait(short.ID)
	end := r.task(short.ID + ".3").Ended
	for !time.Now().After(end.Add(2 * time.Millisecond)) {
		continue // it is as good as over
	}
	sweep := func() { t.Helper(); r.leads(func(l *leader) error { return l.expired(within(t), false) }) }
	sweep()
	if got := r.task(short.ID + ".1"); got.State != tasks.Complete {
		t.Errorf("what a task waits for has expired: %s", got.State)
	}
	r.work("v", done, "slow")
	r.wait(slow.ID)
	g := newGraph(r.Queue) // of the next leader
	if err := g.wait(within(t), child.ID, []string{short.ID, slow.ID + ".1"}, tasks.Deferred); err != nil {
		t.Fatal(err)
	}
	if err := g.settle(within(t)); err != nil {
		t.Fatal(err)
	}
	r.wait(child.ID)
	w.stop()
	if got := r.task(child.ID + ".1"); got.State != tasks.Complete {
		t.Errorf("%+v", got)
	}
	sweep()
	if got := r.task(short.ID + ".1"); got.State != tasks.Missing {
		t.Errorf("nothing waits for it any more, and it is %s", got.State)
	}
}

// TestArgumentsOfRetriesStay: who is retried waits for nothing, and yet needs the results
// that it was given before.
func TestArgumentsOfRetriesStay(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", byCode)
	short := r.submit(ann, text("a", func(s *Submission) { s.Job.ResultTTL = time.Millisecond }))
	r.wait(short.ID)
	child := r.submit(ann, text("fail", func(s *Submission) { s.Job.Call.Args = []tasks.Arg{{Task: short.ID + ".1"}} }))
	r.wait(child.ID)
	w.stop()
	out, err := r.Retry(within(t), ann, []string{child.ID}, RetryOptions{Queue: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	for end := r.task(short.ID + ".1").Ended; !time.Now().After(end.Add(2 * time.Millisecond)); {
		continue // it is as good as over
	}
	sweep := func(want tasks.State) {
		t.Helper()
		r.leads(func(l *leader) error { return l.expired(within(t), false) })
		if got := r.task(short.ID + ".1"); got.State != want {
			t.Errorf("the argument of %+v is %s, want %s", out, got.State, want)
		}
	}
	sweep(tasks.Complete)
	if _, err := r.Cancel(within(t), ann, []string{out[0].NewID}); err != nil {
		t.Fatal(err)
	}
	sweep(tasks.Missing)
}

// TestRetriedStayWithTheirRetries: who has the id of a task that was retried finds its
// successor by it for as long as that one is kept.
func TestRetriedStayWithTheirRetries(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", byCode)
	j := r.submit(ann, text("fail", func(s *Submission) { s.Job.ResultTTL = time.Millisecond }))
	id := j.ID + ".1"
	sweep := func(want tasks.State) {
		t.Helper()
		for end := time.Now(); !time.Now().After(end.Add(2 * time.Millisecond)); {
			continue // it is as good as over
		}
		r.leads(func(l *leader) error { return l.expired(within(t), false) })
		ts, err := r.Follow(within(t), ann, id)
		if err != nil {
			t.Fatal(err)
		}
		if ts[0] == nil {
			ts[0] = &tasks.Task{State: tasks.Missing}
		}
		if ts[0].State != want {
			t.Errorf("it is %s, want %s", ts[0].State, want)
		}
	}
	r.wait(id)
	w.stop()
	if _, err := r.Retry(within(t), ann, []string{id}, RetryOptions{Queue: "slow"}); err != nil {
		t.Fatal(err)
	}
	sweep(tasks.Pending)
	w = r.work("v", byCode, "slow")
	r.wait(id)
	w.stop()
	if _, err := r.Retry(within(t), ann, []string{id}, RetryOptions{Queue: "slower"}); err != nil {
		t.Fatal(err)
	}
	sweep(tasks.Pending)
	if _, err := r.Cancel(within(t), ann, []string{id}); err != nil {
		t.Fatal(err)
	}
	sweep(tasks.Moved)
	sweep(tasks.Missing)
	rows, _, err := r.Tasks(within(t), ann, index.Filter{})
	if err != nil || len(rows) != 0 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// TestAwaitedByWhatIsNotInTheIndex: a leader whose index is behind, or is just made anew,
// lets nothing expire.
func TestAwaitedByWhatIsNotInTheIndex(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", done)
	short := r.submit(ann, text("a", func(s *Submission) { s.Job.ResultTTL = time.Millisecond }))
	r.wait(short.ID)
	w.stop()
	x, err := index.Open(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	feeding, stop := context.WithCancel(t.Context())
	fed := make(chan error, 1)
	go func() { fed <- x.Run(feeding, r.b) }()
	seq, err := r.b.LastSeq(within(t))
	if err := errors.Join(err, x.Sync(within(t), seq)); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-fed; err != nil {
		t.Fatal(err)
	}
	behind, err := Open(t.Context(), r.b, r.s, x, Options{NoChores: true})
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	child := r.submit(ann, text("b", in("slow"), after(short.ID)))
	for end := r.task(short.ID + ".1").Ended; !time.Now().After(end.Add(2 * time.Millisecond)); {
		continue // it is as good as over
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := newLeader(behind).expired(ctx, false); err == nil {
		t.Error("it did not wait for its index")
	}
	if got := r.task(short.ID + ".1"); got.State != tasks.Complete {
		t.Errorf("what %s waits for is %s", child.ID, got.State)
	}
}

// TestBlobs: values that nobody refers to are swept away, and no others.
func TestBlobs(t *testing.T) {
	r := start(t, noChores)
	put := func(s string) string {
		t.Helper()
		ref, err := r.s.PutBytes(within(t), []byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	used, stray, shared := put("used"), put("stray"), put("shared")
	by := func(ref string) *tasks.Job {
		return r.submit(ann, text("f", in("nobody"), func(s *Submission) { s.Job.Call.Args = []tasks.Arg{{Value: tasks.Value{Ref: ref}}} }))
	}
	first, _ := by(shared), by(used)
	second := by(shared)
	there := func(ref string) bool {
		_, _, err := r.s.Stat(within(t), ref)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			t.Fatal(err)
		}
		return err == nil
	}
	sweep := func(grace time.Duration) {
		t.Helper()
		r.o.BlobGrace = grace
		r.leads(func(l *leader) error { return l.blobs(within(t), true) })
	}
	sweep(time.Hour)
	if !there(stray) {
		t.Error("a value that was just put was swept away")
	}
	sweep(0)
	if there(stray) || !there(used) || !there(shared) {
		t.Errorf("stray %v, used %v, shared %v", there(stray), there(used), there(shared))
	}
	for i, j := range []*tasks.Job{first, second} {
		if _, err := r.Delete(within(t), ann, []string{j.ID}); err != nil {
			t.Fatal(err)
		}
		sweep(0)
		if there(shared) != (i == 0) {
			t.Errorf("after deleting %d of its jobs, the shared value is there: %v", i+1, there(shared))
		}
	}
}

// TestChoresGoOn: a leader that is gone is followed by another server.
func TestChoresGoOn(t *testing.T) {
	r := start(t)
	other := startOn(t, r.b, r.s)
	w := r.work("w", done)
	parent := r.submit(ann, text("a"))
	r.wait(r.submit(ann, text("b", after(parent.ID))).ID)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	parent = other.submit(ann, text("a"))
	other.wait(other.submit(ann, text("b", after(parent.ID))).ID)
	if w.Ran.Load() != 4 {
		t.Errorf("%d attempts", w.Ran.Load())
	}
}
