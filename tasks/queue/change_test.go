package queue

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// TestCancel: what waits and what runs is CANCELLED, what has ended is not.
func TestCancel(t *testing.T) {
	r := start(t)
	ended := r.submit(ann, text("a"))
	w := r.work("w", done)
	r.wait(ended.ID)
	w.stop()
	waits := r.submit(ann, text("a", over(10)))
	deferred := r.submit(ann, text("b", after(waits.ID)))
	begun, gate := make(chan string, 100), make(chan struct{})
	r.workBy("v", 1, func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		begun <- t.ID()
		<-gate
		return done(t, j)
	})
	running := <-begun
	var told tasks.Message
	stop, err := r.b.Serve(tasks.MessageSubject("v"), func(data []byte) []byte {
		unmarshal(t, data, &told)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	out, err := r.Cancel(within(t), ann, []string{running, waits.ID, ended.ID + ".1", newID(), "x"})
	if err != nil {
		t.Fatal(err)
	}
	var conflict *ConflictError
	if out[0].Err != nil || out[0].State != tasks.Cancelled || out[1].Count != 9 || out[1].Err != nil ||
		!errors.As(out[2].Err, &conflict) || conflict.State != tasks.Complete ||
		!errors.Is(out[3].Err, ErrMissing) || !errors.Is(out[4].Err, ErrMissing) {
		t.Errorf("%+v", out)
	}
	close(gate)
	r.becomes(deferred.ID+".1", tasks.Impossible)
	got := r.task(running)
	if got.State != tasks.Cancelled || got.By != "ann" || len(got.Past) != 1 || got.Past[0].Worker != "v" || got.Lease != nil {
		t.Errorf("%+v", got)
	}
	if n, err := r.b.Queued(within(t), tasks.DefaultQueue); err != nil || n > 1 {
		t.Errorf("%d messages are left, %v", n, err)
	}
	if out, err := r.Cancel(within(t), bob, []string{waits.ID}); err != nil || !errors.Is(out[0].Err, ErrMissing) {
		t.Errorf("bob: %+v, %v", out, err)
	}
	reader := Who{Owner: "eve", Read: true}
	if out, err := r.Cancel(within(t), reader, []string{waits.ID}); err != nil || !errors.Is(out[0].Err, ErrForbidden) {
		t.Errorf("reader: %+v, %v", out, err)
	}
}

// TestCancelOrComplete: of a cancellation and an end at the same time one wins, and the
// record is the winner's.
func TestCancelOrComplete(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", done)
	const n = 100
	cancelled := 0
	for range n {
		j := r.submit(ann, text("a"))
		out, err := r.Cancel(within(t), ann, []string{j.ID + ".1"})
		if err != nil {
			t.Fatal(err)
		}
		r.wait(j.ID)
		got := r.task(j.ID + ".1")
		switch {
		case out[0].Err == nil && got.State == tasks.Cancelled && got.Result.IsZero():
			cancelled++
		case out[0].Err != nil && got.State == tasks.Complete && string(got.Result.Data) == "ok":
		default:
			t.Fatalf("%+v, and the task is %+v", out[0], got)
		}
	}
	t.Logf("%d of %d were cancelled in time, %d of those while they ran", cancelled, n, w.Fenced.Load())
}

// TestRetry: new tasks take the place of those that failed, with the same elements.
func TestRetry(t *testing.T) {
	r := start(t)
	odd := func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		if t.N%2 == 1 && t.Origin == "" || t.RootN == 7 && t.Queue == "default" {
			return fails(t, j)
		}
		return done(t, j)
	}
	r.work("w", odd, "default", "big")
	j := r.submit(ann, text("f", over(10)))
	r.wait(j.ID)
	out, err := r.Retry(within(t), ann, []string{j.ID}, RetryOptions{Timeout: time.Hour})
	if err != nil || out[0].Err != nil || out[0].Count != 5 {
		t.Fatalf("%+v, %v", out, err)
	}
	second, err := r.Job(within(t), ann, out[0].NewID)
	if err != nil || second.N != 5 || second.RetriedFrom != j.ID || second.Numbers.String() != "1,3,5,7,9" || second.Timeout != time.Hour || second.Origin != "" {
		t.Fatalf("%+v, %v", second, err)
	}
	r.wait(second.ID)
	if old, now := r.task(j.ID+".7"), r.task(second.ID+".4"); old.State != tasks.Moved || old.MovedTo != now.ID() || old.Failure == nil ||
		now.State != tasks.Error || now.MovedFrom != old.ID() || now.Origin != j.ID || now.RootN != 7 {
		t.Errorf("%+v became %+v", old, now)
	}
	// The whole job once more: only what has failed again is left, and it goes elsewhere.
	out, err = r.Retry(within(t), ann, []string{j.ID}, RetryOptions{Queue: "big", Memory: 1 << 30})
	if err != nil || out[0].Count != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	third := r.task(out[0].NewID + ".1")
	if third.Origin != j.ID || third.RootN != 7 || third.MovedFrom != second.ID+".4" || third.Queue != "big" {
		t.Errorf("%+v", third)
	}
	if w := r.wait(j.ID); w.States[tasks.Complete] != 10 || w.Total != 10 {
		t.Errorf("%+v", w)
	}
	// The answer to a retry of what was retried is its successor; COMPLETE ones are
	// retried where they are named.
	out, err = r.Retry(within(t), ann, []string{j.ID + ".7", j.ID + ".2"}, RetryOptions{})
	if err != nil || out[0].NewID != third.ID() || out[0].Err != nil || out[1].Err != nil || out[1].NewID == "" {
		t.Errorf("%+v, %v", out, err)
	}
	r.wait(j.ID)
	followed, err := r.Follow(within(t), ann, j.ID+".7", j.ID+".2")
	if err != nil || followed[0].ID() != third.ID() || followed[1].ID() != out[1].NewID {
		t.Errorf("%+v, %v", followed, err)
	}
	if out, err = r.Retry(within(t), ann, []string{j.ID}, RetryOptions{}); err != nil || out[0].Count != 0 || out[0].Err != nil || out[0].NewID != "" {
		t.Errorf("there is nothing to retry: %+v, %v", out, err)
	}
}

// TestRetryAtTheSameTime: of many retries of a task one makes the successor.
func TestRetryAtTheSameTime(t *testing.T) {
	r := start(t, noChores)
	w := r.work("w", byCode)
	j := r.submit(ann, text("fail", over(5)))
	r.wait(j.ID)
	w.stop()
	ids := []string{}
	for n := 1; n <= 5; n++ {
		ids = append(ids, tasks.TaskID(j.ID, n))
	}
	outs := make(chan []Outcome, 8)
	for range cap(outs) {
		go func() {
			out, err := r.Retry(within(t), ann, ids, RetryOptions{})
			if err != nil {
				t.Error(err)
			}
			outs <- out
		}()
	}
	first := <-outs
	for range cap(outs) - 1 {
		for i, o := range <-outs {
			if o.Err != nil || o.NewID != first[i].NewID {
				t.Errorf("%+v, and another call got %+v", o, first[i])
			}
		}
	}
	counts, err := r.Counts(within(t), ann, index.Filter{})
	if err != nil || counts[tasks.Moved] != 5 || counts[tasks.Pending] != 5 || len(counts) != 2 {
		t.Errorf("%v, %v", counts, err)
	}
}

// TestDelete: a task goes with its chain and its log, a job with its key.
func TestDelete(t *testing.T) {
	r := start(t)
	w := r.work("w", byCode)
	j := r.submit(ann, text("fail", over(3), func(s *Submission) { s.Job.Key = "k" }))
	r.wait(j.ID)
	if err := r.b.Log(within(t), j.ID, 1, []byte("line")); err != nil {
		t.Fatal(err)
	}
	if err := r.b.FlushLog(within(t)); err != nil {
		t.Fatal(err)
	}
	out, err := r.Retry(within(t), ann, []string{j.ID + ".1", j.ID + ".2"}, RetryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	next := out[0].NewID
	r.wait(next, out[1].NewID)
	w.stop()
	if out, err = r.Delete(within(t), ann, []string{next}); err != nil || out[0].Err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	for id, want := range map[string]tasks.State{next: tasks.Missing, j.ID + ".1": tasks.Missing, j.ID + ".2": tasks.Moved, j.ID + ".3": tasks.Error} {
		if got := r.task(id); got.State != want {
			t.Errorf("%s is %s, want %s", id, got.State, want)
		}
	}
	lines := 0
	err = r.b.ReadLog(within(t), j.ID, 1, 0, func(uint64, time.Time, []byte) error { lines++; return nil })
	if err != nil || lines > 0 {
		t.Errorf("%d lines of its log are left, %v", lines, err)
	}
	if out, err = r.Delete(within(t), ann, []string{j.ID}); err != nil || out[0].Err != nil || out[0].Count != 2 {
		t.Fatalf("%+v, %v", out, err)
	}
	rest := 0
	err = r.b.Range(within(t), "rp.>", func(rec broker.Record) error {
		if rec.Data != nil {
			t.Errorf("%s is left: %s", rec.Subject, rec.Data)
		}
		rest++
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if again := r.submit(ann, text("f", func(s *Submission) { s.Job.Key = "k" })); again.ID == j.ID {
		t.Error("the key of a deleted job still has it")
	}
}

// TestDeleteRunning: what runs is not deleted before it is cancelled.
func TestDeleteRunning(t *testing.T) {
	r := start(t)
	gate, begun := make(chan struct{}), make(chan struct{}, 100)
	w := r.workBy("w", 1, func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		begun <- struct{}{}
		<-gate
		return done(t, j)
	})
	j := r.submit(ann, text("a", over(2)))
	<-begun
	out, err := r.Delete(within(t), ann, []string{j.ID})
	var conflict *ConflictError
	if err != nil || !errors.As(out[0].Err, &conflict) || conflict.State != tasks.Running {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := r.Cancel(within(t), ann, []string{j.ID}); err != nil {
		t.Fatal(err)
	}
	if out, err = r.Delete(within(t), ann, []string{j.ID}); err != nil || out[0].Err != nil {
		t.Errorf("%+v, %v", out, err)
	}
	close(gate)
	w.stop()
	if w.Fenced.Load() == 0 {
		t.Error("the worker wrote its result")
	}
	if got := r.task(j.ID + ".1"); got.State != tasks.Missing {
		t.Errorf("%+v", got)
	}
}

// TestDeleteMany: deleting takes as long a task however many there are.
func TestDeleteMany(t *testing.T) {
	r := start(t, noChores)
	took := func(n int) time.Duration {
		j := r.submit(ann, text("a", over(n)))
		began := time.Now()
		if out, err := r.Delete(within(t), ann, []string{j.ID}); err != nil || out[0].Count != n {
			t.Fatalf("%+v, %v", out, err)
		}
		return time.Since(began)
	}
	took(100)
	few, many := max(took(300), 100*time.Millisecond), took(1200)
	t.Logf("300 took %s, 1200 %s", few, many)
	if many > 30*few {
		t.Errorf("300 took %s and 1200 %s, which is not linear", few, many)
	}
}

// TestMoveAndPurge: what waits can go to another queue, and be thrown out of one.
func TestMoveAndPurge(t *testing.T) {
	r := start(t, noChores)
	j := r.submit(ann, text("a", over(5)))
	bobs := r.submit(bob, text("a", over(2), in("slow")))
	front := tasks.Front
	out, err := r.Move(within(t), ann, []string{j.ID, j.ID + ".1"}, "slow", &front)
	if err != nil || out[0].Count != 4 || out[1].Err != nil {
		t.Errorf("%+v, %v", out, err)
	}
	if got := r.task(j.ID + ".3"); got.Queue != "slow" || got.Lane != tasks.Front {
		t.Errorf("%+v", got)
	}
	if ahead, err := r.Position(within(t), bob, bobs.ID+".2"); err != nil || ahead != 6 {
		t.Errorf("%d stand before it, %v", ahead, err)
	}
	if n, err := r.Purge(within(t), ann, "slow"); err != nil || n != 5 {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := r.Purge(within(t), root, "slow"); err != nil || n != 2 {
		t.Errorf("%d, %v", n, err)
	}
	for _, queue := range []string{"slow", tasks.DefaultQueue} {
		r.queued(queue, 0)
	}
}

// TestNumbers: tasks of a retry know what they replace, also without the old records.
func TestJobOfRetry(t *testing.T) {
	old := &tasks.Job{ID: newID(), N: 20}
	second := successor(old, []int{15, 3, 4}, RetryOptions{})
	third := successor(second, []int{3, 1}, RetryOptions{})
	var got []string
	for n := 1; n <= 2; n++ {
		nt := third.New(n)
		got = append(got, fmt.Sprint(nt.MovedFrom == tasks.TaskID(second.ID, third.Numbers.At(n)), nt.Origin == old.ID, nt.RootN))
	}
	if !slices.Equal(got, []string{"true true 3", "true true 15"}) {
		t.Errorf("%q", got)
	}
}

// TestCancelWhileItIsWritten: tasks that a submission has not got to yet keep the messages
// that they are about to have.
func TestCancelWhileItIsWritten(t *testing.T) {
	r := start(t, noChores)
	for _, written := range []bool{false, true} {
		j := r.submit(ann, text("a", over(2*few)))
		last := tasks.TaskSubject(j.ID, j.N)
		if !written {
			if _, err := r.b.Write(within(t), broker.Write{Subject: last, Any: true, Delete: true}); err != nil {
				t.Fatal(err)
			}
		}
		out, err := r.Cancel(within(t), ann, []string{j.ID})
		want := map[bool]int{true: j.N, false: j.N - 1}[written]
		if err != nil || out[0].Count != want {
			t.Fatalf("%+v, %v: want %d", out, err, want)
		}
		r.queued(tasks.DefaultQueue, 1) // that of the first job's last
	}
}
