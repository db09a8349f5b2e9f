package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// TestLowerLimits: what is queued beyond limits that were lowered is taken back, the
// last first, and comes back when they are raised.
func TestLowerLimits(t *testing.T) {
	r := start(t)
	limit := func(running, jobs int) {
		t.Helper()
		_, err := r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxRunning, c.MaxJobs = running, jobs })
		if err != nil {
			t.Fatal(err)
		}
	}
	first := r.submit(ann, text("a", over(1500), in("q")))
	second := r.submit(ann, text("b", over(20), in("q")))
	other := r.submit(bob, text("c", over(5), in("other")))
	r.queued("q", 1520)
	limit(3, 0)
	r.queued("q", 3)
	if a, b, c := r.task(first.ID+".3"), r.task(first.ID+".4"), r.task(second.ID+".1"); a.Held || !b.Held || !c.Held {
		t.Errorf("held: %v, %v and %v", a.Held, b.Held, c.Held)
	}
	limit(10, 0)
	r.queued("q", 10)
	limit(0, 0)
	r.queued("q", 1520)
	limit(0, 1)
	r.queued("q", 1500)
	limit(0, 0)
	r.queued("q", 1520)
	r.queued("other", 5)
	r.work("w", done, "q", "other")
	r.wait(first.ID, second.ID, other.ID)
}

// TestWithholdKeepsLanes: what is of a later lane goes first, whenever it was submitted.
func TestWithholdKeepsLanes(t *testing.T) {
	r := start(t)
	lane := func(l tasks.Lane) func(*Submission) { return func(s *Submission) { s.Job.Lane = l } }
	low := r.submit(ann, text("a", over(5), in("q"), lane(tasks.Low)))
	front := r.submit(ann, text("b", over(3), in("q"), lane(tasks.Front)))
	high := r.submit(ann, text("c", over(3), in("other"), lane(tasks.High)))
	_, err := r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxRunning = 5 })
	if err != nil {
		t.Fatal(err)
	}
	r.queued("q", 3)
	r.queued("other", 2)
	if a, b, c := r.task(low.ID+".1"), r.task(front.ID+".3"), r.task(high.ID+".2"); !a.Held || b.Held || c.Held {
		t.Errorf("held: of low %v, of front %v, of high %v", a.Held, b.Held, c.Held)
	}
	// Of jobs the one with an earlier lane goes on.
	_, err = r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxRunning, c.MaxJobs = 0, 1 })
	if err != nil {
		t.Fatal(err)
	}
	r.queued("other", 0)
	r.queued("q", 3)
	if got := r.task(front.ID + ".1"); got.Held {
		t.Error("the job in front is held")
	}
}

// TestManyOwners: a turn reads of each no more than there may be need of, and all are
// admitted in the end.
func TestManyOwners(t *testing.T) {
	r := start(t, noChores)
	_, err := r.SetOwner(within(t), root, "ann", func(c *tasks.OwnerConfig) { c.MaxRunning = 1000 })
	if err != nil {
		t.Fatal(err)
	}
	most1 := func(s *Submission) { s.Job.MaxRunning = 1 } // most of what is found first may not run
	first := r.submit(ann, text("a", over(900), in("q"), most1))
	second := r.submit(ann, text("b", over(700), in("q")))
	l := newLeader(r.Queue)
	seq, err := r.b.LastSeq(within(t))
	if err == nil {
		err = r.x.Sync(within(t), seq)
	}
	if err != nil {
		t.Fatal(err)
	}
	kept := &blocked{map[string]bool{}, map[string]bool{}}
	c, err := l.candidate(within(t), "ann", time.Now(), admitLeast, kept)
	if err != nil || len(c.rows) != admitLeast || c.all {
		t.Errorf("%d rows, all %v, %v", len(c.rows), c.all, err)
	}
	picked, err := l.pick(within(t), []*candidate{c}, time.Now(), kept)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, k := range picked {
		count[k.job]++
	}
	if count[first.ID] != 1 || count[second.ID] != 700 {
		t.Errorf("%d of the first and %d of the second are admitted, want 1 and 700", count[first.ID], count[second.ID])
	}
}

// TestElementsCount: bytes of elements count, also of those that are yielded.
func TestElementsCount(t *testing.T) {
	r := start(t, noChores)
	if _, err := r.SetQueue(within(t), root, "small", func(c *tasks.QueueConfig) { c.MaxBytes = 2 << 20 }); err != nil {
		t.Fatal(err)
	}
	made := 0
	yielding := func(n int) func(*Submission) {
		return func(s *Submission) {
			s.Array = true
			s.Each = func(yield func([]byte, error) bool) {
				for made = 1; made <= n && yield(fmt.Appendf(nil, "%0*d", 100<<10, made), nil); made++ {
				}
			}
		}
	}
	j := r.submit(ann, text("f", yielding(10), in("small")))
	if err := r.sync(within(t)); err != nil {
		t.Fatal(err)
	}
	stats, err := r.x.QueueStats(within(t))
	if got := stats["small"].Bytes; err != nil || j.Over.Size != 1000<<10 || got < 1000<<10 || got > 1001<<10 {
		t.Errorf("elements of %d bytes are %d in the queue, %v", j.Over.Size, got, err)
	}
	var refused *RefusedError
	if _, _, err := r.Submit(within(t), ann, text("f", yielding(1000), in("small"))); !errors.As(err, &refused) || made > 20 {
		t.Errorf("after %d elements: %v", made, err)
	}
}

// TestOrphansBesideOthers: a task without message is found also while others run.
func TestOrphansBesideOthers(t *testing.T) {
	r := start(t, noChores)
	leaves := func(*tasks.Task, *tasks.Job) tasks.Outcome { return tasks.Outcome{} }
	busy := r.submit(ann, text("a", over(4)))
	r.work("w", leaves)
	for n := 1; n <= 4; n++ {
		r.becomes(tasks.TaskID(busy.ID, n), tasks.Running)
	}
	lost := r.task(tasks.TaskID(busy.ID, 1))
	lost.State, lost.Lease = tasks.Pending, nil // as if it had been given back, and its message lost
	r.put(lost)
	if err := r.b.Withdraw(within(t), workOf([]*tasks.Task{lost})); err != nil {
		t.Fatal(err)
	}
	r.queued(tasks.DefaultQueue, 3)
	r.o.Sweep = time.Nanosecond
	r.leads(func(l *leader) error { return errors.Join(l.orphans(within(t), false), l.orphans(within(t), false)) })
	r.queued(tasks.DefaultQueue, 4)
}

// TestSettleGoesOn: of jobs that were released, one that is gone keeps back no other.
func TestSettleGoesOn(t *testing.T) {
	r := start(t, noChores)
	parent := r.submit(ann, text("a", in("q")))
	child := r.submit(ann, text("b", over(50), after(parent.ID), in("q")))
	g := newGraph(r.Queue)
	g.released[child.ID] = true
	g.fresh[child.ID] = []*tasks.Task{r.task(child.ID + ".7")}
	for range 50 {
		id := newID()
		g.released[id] = true
		g.fresh[id] = []*tasks.Task{{Job: id, N: 1, State: tasks.Deferred}}
	}
	if err := g.settle(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := r.task(child.ID + ".7"); got.State != tasks.Pending {
		t.Errorf("%+v", got)
	}
}

// TestSweepFails: one that cannot do its work keeps no other from theirs, and is tried
// again as if it was the first time.
func TestSweepFails(t *testing.T) {
	var got []string
	all := []*sweep{
		{name: "bad", run: func(_ context.Context, first bool) error {
			got = append(got, fmt.Sprint("bad ", first))
			return errors.New("out of reach")
		}},
		{name: "good", run: func(_ context.Context, first bool) error {
			got = append(got, fmt.Sprint("good ", first))
			return nil
		}},
	}
	l := newLeader(&Queue{log: slog.New(slog.DiscardHandler)})
	l.sweepAll(t.Context(), all)
	l.sweepAll(t.Context(), all)
	if want := []string{"bad true", "good true", "bad true", "good false"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
