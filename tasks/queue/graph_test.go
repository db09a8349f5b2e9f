package queue

import (
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestImpossibleIsForgotten: the leader keeps nothing in memory for what is IMPOSSIBLE,
// and finds it when what failed is retried, also the second time.
func TestImpossibleIsForgotten(t *testing.T) {
	r := start(t, noChores)
	g := newGraph(r.Queue)
	l := newLeader(r.Queue)
	seq := uint64(0)
	hear := func() {
		t.Helper()
		records, err := r.changes(t, seq)
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			if err := l.heard(within(t), g, rec); err != nil {
				t.Fatal(err)
			}
			seq = rec.Seq
		}
		if err := g.settle(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	bad := r.submit(ann, text("fail", over(20)))
	child := r.submit(ann, text("c", over(3), after(bad.ID+".1"), in("q")))
	grand := r.submit(ann, text("d", after(child.ID), in("q")))
	hear()
	if len(g.waiters) != 2 {
		t.Errorf("%d jobs wait", len(g.waiters))
	}
	w := r.work("w", byCode)
	r.wait(bad.ID)
	hear()
	hear() // what the first has made IMPOSSIBLE is a change, too
	known := func() int { return len(g.waiters) + len(g.parents) + len(g.byJob) + len(g.moved) + len(g.movedIn) }
	if got := r.task(grand.ID + ".1"); got.State != tasks.Impossible || known() != 0 {
		t.Errorf("%s, and of what is IMPOSSIBLE the graph has %d", got.State, known())
	}
	w.stop()
	id := bad.ID + ".1"
	for range 2 { // it fails again
		out, err := r.Retry(within(t), ann, []string{id}, RetryOptions{})
		if err != nil || out[0].Err != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		hear()
		if a, b := r.task(child.ID+".2"), r.task(grand.ID+".1"); a.State != tasks.Deferred || b.State != tasks.Deferred {
			t.Errorf("after the retry %s and %s", a.State, b.State)
		}
		id = out[0].NewID
		w := r.work("w", byCode)
		r.becomes(id, tasks.Error)
		w.stop()
		hear()
		hear()
		if a, b := r.task(child.ID+".2"), r.task(grand.ID+".1"); a.State != tasks.Impossible || b.State != tasks.Impossible || known() != 0 {
			t.Errorf("%s, %s, %d", a.State, b.State, known())
		}
	}
	r.work("v", done)
	if _, err := r.Retry(within(t), ann, []string{id}, RetryOptions{}); err != nil {
		t.Fatal(err)
	}
	hear()
	r.wait(bad.ID + ".1")
	hear()
	r.work("x", done, "q")
	r.wait(child.ID)
	hear()
	r.wait(grand.ID)
	if got := r.task(grand.ID + ".1"); got.State != tasks.Complete {
		t.Errorf("%+v", got)
	}
}

// TestGoneParents: the reason of what can never run is in plain words.
func TestGoneParents(t *testing.T) {
	r := start(t)
	parent := r.submit(ann, text("a", over(2), in("q")))
	child := r.submit(ann, text("b", after(parent.ID), in("q")))
	if out, err := r.Delete(within(t), ann, []string{parent.ID}); err != nil || out[0].Err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	got := r.becomes(child.ID+".1", tasks.Impossible)
	if !strings.Contains(got.Failure.Message, "is no more") || strings.Contains(got.Failure.Message, "record") {
		t.Error(got.Failure.Message)
	}
}
