package queue

import (
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// TestDependencies: a task waits for those that it names, tasks and whole jobs.
func TestDependencies(t *testing.T) {
	r := start(t)
	a := r.submit(ann, text("a"))
	b := r.submit(ann, text("b", over(30)))
	child := r.submit(ann, text("c", over(5), after(a.ID+".1", b.ID)))
	grand := r.submit(ann, text("d", func(s *Submission) { s.Job.Call.Args = []tasks.Arg{{Name: "x", Task: child.ID}} }))
	if got := r.task(child.ID + ".5"); got.State != tasks.Deferred {
		t.Errorf("%+v", got)
	}
	r.work("w", done)
	r.wait(grand.ID)
	last := r.task(grand.ID + ".1")
	for n := 1; n <= 5; n++ {
		if c := r.task(tasks.TaskID(child.ID, n)); c.State != tasks.Complete || c.Started.After(last.Started) || c.Lane != tasks.Front {
			t.Errorf("child %d: %+v", n, c)
		}
	}
	// What is COMPLETE already needs no waiting.
	if late := r.submit(ann, text("e", after(a.ID+".1"))); r.task(late.ID+".1").State == tasks.Deferred {
		t.Error("a task waits for one that is COMPLETE")
	}
	r.wait(r.submit(ann, text("e", after(b.ID))).ID)
}

// TestImpossible: what depends on a failed task is IMPOSSIBLE, all the way down, and
// comes back when that one is retried.
func TestImpossible(t *testing.T) {
	r := start(t)
	bad := r.submit(ann, text("fail"))
	child := r.submit(ann, text("c", over(3), after(bad.ID+".1")))
	grand := r.submit(ann, text("d", after(child.ID)))
	failing := r.work("w", byCode)
	w := r.wait(bad.ID, child.ID, grand.ID)
	if w.States[tasks.Error] != 1 || w.States[tasks.Impossible] != 4 || len(w.Failed) != 5 {
		t.Errorf("%+v", w)
	}
	if got := r.task(child.ID + ".1"); got.Failure == nil || got.Failure.Tasks[0] != bad.ID+".1" || !strings.Contains(got.Failure.Message, bad.ID) {
		t.Errorf("%+v", got)
	}
	failing.stop()
	out, err := r.Retry(within(t), ann, []string{bad.ID + ".1"}, RetryOptions{})
	if err != nil || out[0].Err != nil || out[0].NewID == "" {
		t.Fatalf("%+v, %v", out, err)
	}
	r.becomes(grand.ID+".1", tasks.Deferred)
	r.work("v", done)
	r.becomes(grand.ID+".1", tasks.Complete)
	if got := r.task(child.ID + ".3"); got.State != tasks.Complete {
		t.Errorf("%+v", got)
	}
	// Submitted after the failure.
	worse := r.submit(ann, text("a", in("elsewhere")))
	if out, err := r.Cancel(within(t), ann, []string{worse.ID}); err != nil || out[0].Count != 1 {
		t.Fatalf("%+v, %v", out, err)
	}
	r.wait(worse.ID)
	r.becomes(r.submit(ann, text("c", after(worse.ID))).ID+".1", tasks.Impossible)
}

// TestDependenciesOfDeleted: a parent that was deleted does not come any more.
func TestDependenciesOfDeleted(t *testing.T) {
	r := start(t)
	parent := r.submit(ann, text("a", over(2)))
	child := r.submit(ann, text("b", after(parent.ID)))
	if out, err := r.Delete(within(t), ann, []string{parent.ID}); err != nil || out[0].Err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	r.becomes(child.ID+".1", tasks.Impossible)
}

// TestFanInAndChain: many parents of one task, and many generations.
func TestFanInAndChain(t *testing.T) {
	r := start(t)
	const n = 300
	fan := r.submit(ann, text("a", over(n)))
	ids := make([]string, n)
	for i := range ids {
		ids[i] = tasks.TaskID(fan.ID, i+1)
	}
	last := r.submit(ann, text("b", after(ids...)))
	for range 10 {
		last = r.submit(ann, text("c", after(last.ID)))
	}
	began := time.Now()
	r.work("w", done)
	r.wait(last.ID)
	t.Logf("%d parents and 10 generations took %s", n, time.Since(began))
}

// TestRaces: parents end while their children are being submitted.
func TestRaces(t *testing.T) {
	r := start(t)
	r.work("w", done)
	var ids []string
	for i := range 100 {
		parent := r.submit(ann, text("a", over(1+i%3)))
		ids = append(ids, r.submit(ann, text("b", over(1+i%2), after(parent.ID))).ID)
	}
	if w := r.wait(ids...); w.States[tasks.Complete] != w.Total {
		t.Errorf("%+v", w)
	}
}

// TestTwoLeaders: chores done twice at the same time do no harm.
func TestTwoLeaders(t *testing.T) {
	r := start(t, noChores)
	other := startOn(t, r.b, r.s, noChores)
	for _, q := range []*rig{r, other} {
		q.done.Go(func() {
			if err := q.chores(q.leading); err != nil && q.leading.Err() == nil {
				t.Errorf("chores: %v", err)
			}
		})
	}
	w := r.work("w", byCode)
	var good, bad []string
	for i := range 60 {
		code, list := "a", &good
		if i%3 == 0 {
			code, list = "fail", &bad
		}
		parent := r.submit(ann, text(code))
		child := other.submit(ann, text("b", over(2), after(parent.ID), func(s *Submission) { s.Job.MaxRunning = 1 }))
		*list = append(*list, child.ID)
	}
	if got := r.wait(good...); got.States[tasks.Complete] != got.Total {
		t.Errorf("%+v", got)
	}
	if got := r.wait(bad...); got.States[tasks.Impossible] != got.Total {
		t.Errorf("%+v", got)
	}
	if ran := w.Ran.Load(); ran != 60+2*40 {
		t.Errorf("%d attempts", ran)
	}
}

// TestHeld: tasks wait for their time, and for limits of their job and owner.
func TestHeld(t *testing.T) {
	r := start(t)
	soon := time.Now().Add(300 * time.Millisecond)
	later := r.submit(ann, text("a", func(s *Submission) { s.Job.NotBefore = soon }))
	if got := r.task(later.ID + ".1"); !got.Held {
		t.Errorf("%+v", got)
	}
	var most atomicMax
	gate := make(chan struct{})
	r.workBy("w1", 1, most.around(gate))
	r.workBy("w2", 1, most.around(gate))
	limited := r.submit(ann, text("b", over(20), func(s *Submission) { s.Job.MaxRunning = 1 }))
	close(gate)
	r.wait(later.ID, limited.ID)
	if got := r.task(later.ID + ".1"); got.Started.Before(soon) {
		t.Errorf("it began %s too early", soon.Sub(got.Started))
	}
	if most.max.Load() > 2 { // one of the job, and the other task
		t.Errorf("%d ran at a time", most.max.Load())
	}
}

// TestOwnersInTurn: who has a limit shares, and does not wait behind another's many.
func TestOwnersInTurn(t *testing.T) {
	r := start(t)
	for _, owner := range []string{"ann", "bob"} {
		if _, err := r.SetOwner(within(t), root, owner, func(c *tasks.OwnerConfig) { c.MaxRunning = 1 }); err != nil {
			t.Fatal(err)
		}
	}
	anns := r.submit(ann, text("a", over(40)))
	bobs := r.submit(bob, text("b", over(5)))
	r.work("w", done)
	r.wait(bobs.ID)
	counts, err := r.Counts(within(t), root, index.Filter{Job: anns.ID})
	if err != nil || counts[tasks.Complete] > 20 {
		t.Errorf("%v, %v: bob's five waited for ann's", counts, err)
	}
	r.wait(anns.ID)
	if _, err := r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxRunning, c.MaxJobs = 0, 1 }); err != nil {
		t.Fatal(err)
	}
	first := r.submit(ann, text("a", over(3)))
	second := r.submit(ann, text("b", over(3)))
	r.wait(first.ID, second.ID)
	if a, b := r.task(first.ID+".3"), r.task(second.ID+".1"); b.Started.Before(a.Ended) {
		t.Errorf("the second job began at %s, before the first had ended at %s", b.Started, a.Ended)
	}
}
