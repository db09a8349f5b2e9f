package index

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/tasks"
)

// same fails where what the index says is not what the model says.
func same(t *rapid.T, what any, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%v: the index differs from the model (-model +index):\n%s", what, d)
	}
}

// compare asks all questions, and some with random filters.
func compare(t *rapid.T, x *Index, h *history) {
	t.Helper()
	ctx := context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, _, err := x.Tasks(ctx, Filter{Oldest: true, Limit: MaxLimit})
	must(err)
	var want []TaskRow
	for _, id := range h.list(Filter{Oldest: true}) {
		want = append(want, h.taskRow(id))
	}
	same(t, "all tasks", rows, want)
	jobs, _, err := x.Jobs(ctx, Filter{Oldest: true, Limit: MaxLimit})
	must(err)
	var wantJobs []JobRow
	for i, id := range h.listJobs(Filter{Oldest: true}) {
		r := h.jobRow(id)
		if i < len(jobs) {
			r.Started, r.Ended = jobs[i].Started, jobs[i].Ended
		}
		if !h.thin[id] {
			r.Started, r.Ended = h.span(id)
		}
		wantJobs = append(wantJobs, r)
	}
	same(t, "all jobs", jobs, wantJobs)
	for range 12 {
		compareFilter(t, x, h, h.filter())
	}
	for _, f := range []Filter{{}, {Owner: "anna"}, {Queue: "short"}, {Owner: "ben", Queue: "long", States: []tasks.State{tasks.Pending, tasks.Complete}}} {
		got, err := x.Counts(ctx, f)
		must(err)
		same(t, f, got, h.counts(f))
	}
	for range 4 {
		job, from, size := jobID(h.number(1, h.made)), h.number(1, 40), h.number(1, 15)
		to := h.number(from, 45)
		got, err := x.Cells(ctx, job, from, to, size)
		must(err)
		same(t, fmt.Sprintf("cells of %s, %d to %d by %d", job, from, to, size), got, h.cells(job, from, to, size))
	}
	stats, err := x.QueueStats(ctx)
	must(err)
	for q, s := range stats {
		if s == (QueueStat{}) {
			delete(stats, q) // it had tasks
		}
	}
	same(t, "queues", stats, h.queueStats())
	for _, o := range owners {
		got, err := x.OwnerStats(ctx, o)
		must(err)
		same(t, o, got, h.ownerStats(o))
	}
	for _, id := range h.list(Filter{}) {
		row := h.taskRow(id)
		got, err := x.Position(ctx, row)
		must(err)
		same(t, "position of "+id, got, h.position(id))
	}
	compareChores(t, x, h)
}

// span is from the first start to the last end of a job's tasks.
func (h *history) span(id string) (started, ended time.Time) {
	open := false
	for _, t := range h.tasksOf(id) {
		first := t.Started
		if len(t.Past) > 0 {
			first = t.Past[0].Started
		}
		if !first.IsZero() && (started.IsZero() || first.Before(started)) {
			started = first
		}
		if t.Ended.After(ended) {
			ended = t.Ended
		}
		open = open || !t.State.Final()
	}
	if open {
		ended = time.Time{}
	}
	return started, ended
}

// compareFilter pages through all rows of a filter.
func compareFilter(t *rapid.T, x *Index, h *history, f Filter) {
	t.Helper()
	ctx := context.Background()
	counts, err := x.Counts(ctx, f)
	if err != nil {
		t.Fatal(err)
	}
	same(t, f, counts, h.counts(f))
	var ids, jobs []string
	for p := f; ; {
		rows, next, err := x.Tasks(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			ids = append(ids, r.ID())
		}
		if p.After = next; next == "" {
			break
		}
		if len(rows) != f.Limit {
			t.Fatalf("%v: a page of %d rows, and a next one", p, len(rows))
		}
	}
	same(t, f, ids, h.list(f))
	for p := f; ; {
		rows, next, err := x.Jobs(ctx, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			jobs = append(jobs, r.ID)
		}
		if p.After = next; next == "" {
			break
		}
	}
	same(t, "jobs of "+f.String(), jobs, h.listJobs(f))
}

func compareChores(t *rapid.T, x *Index, h *history) {
	t.Helper()
	ctx := context.Background()
	now := h.now
	due := func(t *tasks.Task) bool { return t.Held && !t.NotBefore.IsZero() && !t.NotBefore.After(now) }
	got, err := x.Due(ctx, now, 1000)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "due", got, h.pick(due, func(t *tasks.Task) int64 { return t.NotBefore.UnixNano() }))
	ends := func(t *tasks.Task) time.Time { return t.Ended.Add(h.named[t.Job].ResultTTL) }
	got, err = x.Expired(ctx, now, 1000)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "expired", got, h.pick(func(t *tasks.Task) bool {
		return t.State.Final() && h.named[t.Job].ResultTTL > 0 && !ends(t).After(now)
	}, func(t *tasks.Task) int64 { return ends(t).UnixNano() }))
	for _, owner := range append(owners, "") {
		for _, job := range []string{"", jobID(h.number(1, h.made))} {
			limit := h.number(1, 20)
			rows, err := x.Held(ctx, owner, job, now, limit)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, r := range rows {
				ids = append(ids, r.ID())
			}
			want := h.pick(func(t *tasks.Task) bool {
				return t.Held && !t.NotBefore.After(now) && (owner == "" || t.Owner == owner) && (job == "" || t.Job == job)
			}, func(t *tasks.Task) int64 { return int64(t.Lane) })
			same(t, "held of "+owner+job, ids, want[:min(limit, len(want))])
		}
	}
	for _, owner := range append(owners, "") {
		for _, job := range []string{"", jobID(h.number(1, h.made))} {
			limit := h.number(1, 20)
			rows, err := x.Queued(ctx, owner, job, limit)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, r := range rows {
				ids = append(ids, r.ID())
			}
			want := h.pick(func(t *tasks.Task) bool {
				return t.State == tasks.Pending && !t.Held && (owner == "" || t.Owner == owner) && (job == "" || t.Job == job)
			}, func(t *tasks.Task) int64 { return int64(t.Lane) })
			slices.Reverse(want)
			same(t, "queued of "+owner+job, ids, want[:min(limit, len(want))])
		}
	}
	rows, _, err := x.Incomplete(ctx, now.Add(time.Second), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	same(t, "incomplete", ids, h.incomplete())
	var refs []string
	for n := range 8 {
		refs = append(refs, ref(n))
	}
	used, err := x.BlobRefs(ctx, refs)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "blobs", used, h.blobs())
}

// TestModel compares the index with a model, over random histories which it reads in
// batches of any size, and stops and begins again in between.
func TestModel(t *testing.T) {
	path := t.TempDir()
	files := 0
	rapid.Check(t, func(rt *rapid.T) {
		files++
		s := newStream()
		s.size = rapid.SampledFrom([]int{1, 3, 500}).Draw(rt, "size of batches")
		h := newHistory(rt, s)
		file := filepath.Join(path, string(rune('a'+files%26))+"index.db")
		if err := remove(file); err != nil {
			rt.Fatal(err)
		}
		x := feed(t, file, s)
		defer func() { x.stop() }()
		for range rapid.IntRange(1, 4).Draw(rt, "parts") {
			for range rapid.IntRange(1, 25).Draw(rt, "steps") {
				h.step()
			}
			switch rapid.IntRange(1, 4).Draw(rt, "then") {
			case 1: // stop, and go on where it was
				x.stop()
				x = feed(t, file, s)
			case 2: // stop, and change more before it goes on
				x.stop()
				h.step()
				x = feed(t, file, s)
			case 3: // lose the file
				if onlyAppended(h) {
					x.stop()
					if err := os.Remove(file); err != nil {
						rt.Fatal(err)
					}
					x = feed(t, file, s)
				}
			}
			x.sync(s)
			for _, id := range h.order {
				h.seen[id] = true
			}
			compare(rt, x.Index, h)
		}
	})
}

// onlyAppended reports whether no job's record has gone before its tasks': the order of
// those that have not is kept when the index is made anew.
func onlyAppended(h *history) bool {
	return !slices.ContainsFunc(h.order, func(id string) bool { return h.jobs[id] == nil || h.thin[id] })
}

// TestAwaited: what a job depends on is awaited from when the job is there, also before its
// tasks are, until the last of them has ended.
func TestAwaited(t *testing.T) {
	path, s := tempIndex(t), newStream()
	parent := tasks.TaskID(jobID(1), 1)
	j := &tasks.Job{ID: jobID(2), Owner: "anna", Created: began, N: 2, Queue: "default", DependsOn: []string{parent}}
	x := feed(t, path, s)
	f := func(when string, want bool) {
		t.Helper()
		x.sync(s)
		if all, err := x.Awaited(context.Background()); err != nil || all[parent] != want {
			t.Errorf("%s: %v, %v", when, all, err)
		}
	}
	s.job(j)
	f("without its tasks", true)
	for n := 1; n <= j.N; n++ {
		task := j.New(n)
		task.State = tasks.Complete
		s.task(task)
		f("with a task that has ended", n < j.N)
	}
}
