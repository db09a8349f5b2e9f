package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/fakenode"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// rig is a queue on a real engine in a directory of its own.
type rig struct {
	*Queue
	t testing.TB
	b *broker.Broker
	s *blob.Store
	x *index.Index
}

var (
	ann  = Who{Owner: "ann"}
	bob  = Who{Owner: "bob"}
	root = Who{Owner: "root", Admin: true}
)

// start opens a queue, which ends with the test.
func start(t testing.TB, change ...func(*Options)) *rig {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Options{Dir: t.TempDir(), Durability: "interval:200ms", Name: "test", AckWait: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s, err := blob.Open(blob.Options{Objects: b.Objects(), Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), b.Close()); err != nil {
			t.Error(err)
		}
	})
	return startOn(t, b, s, change...)
}

// startOn opens another server's queue on the same engine.
func startOn(t testing.TB, b *broker.Broker, s *blob.Store, change ...func(*Options)) *rig {
	t.Helper()
	x, err := index.Open(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	feeding, stop := context.WithCancel(context.Background())
	fed := make(chan error, 1)
	go func() { fed <- x.Run(feeding, b) }()
	o := Options{Sweep: 200 * time.Millisecond, LostAfter: time.Second}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	for _, f := range change {
		f(&o)
	}
	q, err := Open(t.Context(), b, s, x, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		stop()
		if err := errors.Join(<-fed, x.Close()); err != nil {
			t.Error(err)
		}
	})
	return &rig{q, t, b, s, x}
}

func noChores(o *Options) { o.NoChores = true }

// within gives a call a time limit that is far beyond what it needs.
func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// text is a call of a function, in normal place.
func text(code string, change ...func(*Submission)) *Submission {
	s := &Submission{Job: tasks.Job{Lane: tasks.Normal, Call: tasks.Call{Kind: tasks.CallFunction, Code: tasks.Value{Data: []byte(code)}, Text: true}}}
	for _, f := range change {
		f(s)
	}
	return s
}

// over makes it an array of n elements.
func over(n int) func(*Submission) {
	return func(s *Submission) {
		s.Array = true
		for i := range n {
			s.Elements = append(s.Elements, fmt.Appendf(nil, "%d", i+1))
		}
	}
}

func after(ids ...string) func(*Submission) {
	return func(s *Submission) { s.Job.DependsOn = ids }
}

// in puts it into another queue, of which no worker takes.
func in(queue string) func(*Submission) {
	return func(s *Submission) { s.Job.Queue = queue }
}

func (r *rig) submit(who Who, s *Submission) *tasks.Job {
	r.t.Helper()
	j, _, err := r.Submit(within(r.t), who, s)
	if err != nil {
		r.t.Fatal(err)
	}
	return j
}

// task reads a task; one that is not there is MISSING.
func (r *rig) task(id string) *tasks.Task {
	r.t.Helper()
	ts, err := r.Get(within(r.t), root, id)
	if err != nil {
		r.t.Fatal(err)
	}
	if ts[0] == nil {
		return &tasks.Task{State: tasks.Missing}
	}
	return ts[0]
}

// becomes waits until a task is in a state.
func (r *rig) becomes(id string, want tasks.State) *tasks.Task {
	r.t.Helper()
	k, err := keyOf(id)
	if err != nil {
		r.t.Fatal(err)
	}
	var now *tasks.Task
	w := &watch{q: r.Queue, targets: []target{{job: k.job, n: k.n}}}
	w.see = func(_, _ int, t *tasks.Task) error { now = t; return nil }
	w.settled = func() (bool, error) { return now != nil && now.State == want, nil }
	if want == tasks.Moved || want == tasks.Missing {
		w.settled = func() (bool, error) { return r.task(id).State == want, nil }
	}
	if err := w.run(within(r.t)); err != nil {
		r.t.Fatalf("task %s is %+v and not %s: %v", id, now, want, err)
	}
	return now
}

// queued waits until a queue has so many messages: the engine counts them in the end.
func (r *rig) queued(queue string, want int64) {
	r.t.Helper()
	ctx := within(r.t)
	for last := int64(-1); ; {
		n, err := r.b.Queued(ctx, queue)
		if err != nil {
			r.t.Fatalf("%d messages in %s, want %d: %v", last, queue, want, err)
		}
		if last = n; n == want {
			return
		}
	}
}

// wait waits for all of ids.
func (r *rig) wait(ids ...string) WaitResult {
	r.t.Helper()
	w, err := r.Wait(within(r.t), root, ids, All)
	if err != nil || !w.Done {
		r.t.Fatalf("wait: %+v, %v", w, err)
	}
	return w
}

// worker runs tasks without R.
type worker struct {
	fakenode.Worker
	stop func()
}

// work starts a worker for queues, which ends with the test or stop. It claims many
// tasks at a time.
func (r *rig) work(id string, runs func(*tasks.Task, *tasks.Job) tasks.Outcome, queues ...string) *worker {
	r.t.Helper()
	return r.workBy(id, 50, runs, queues...)
}

func (r *rig) workBy(id string, most int, runs func(*tasks.Task, *tasks.Job) tasks.Outcome, queues ...string) *worker {
	r.t.Helper()
	if len(queues) == 0 {
		queues = []string{tasks.DefaultQueue}
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{Worker: fakenode.Worker{ID: id, Broker: r.b, Most: most, Runs: runs}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.Run(ctx, queues...); err != nil {
			r.t.Error(err)
		}
	}()
	w.stop = sync.OnceFunc(func() { cancel(); <-ended })
	r.t.Cleanup(w.stop)
	return w
}

var (
	done  = fakenode.Done
	fails = fakenode.Fails
)

// byCode fails where the job's code says so.
func byCode(t *tasks.Task, j *tasks.Job) tasks.Outcome {
	if string(j.Call.Code.Data) == "fail" {
		return fails(t, j)
	}
	return done(t, j)
}

// atomicMax is the most that ran at a time.
type atomicMax struct{ now, max atomic.Int64 }

// around counts what runs; nothing ends before gate is closed.
func (m *atomicMax) around(gate chan struct{}) func(*tasks.Task, *tasks.Job) tasks.Outcome {
	return func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		n := m.now.Add(1)
		defer m.now.Add(-1)
		for old := m.max.Load(); n > old && !m.max.CompareAndSwap(old, n); old = m.max.Load() {
		}
		<-gate
		return done(t, j)
	}
}

func unmarshal(t testing.TB, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Errorf("%v in %s", err, data)
	}
}

// changes are the records of jobs and tasks that have changed after seq, in order.
func (r *rig) changes(t testing.TB, seq uint64) (all []broker.Record, err error) {
	t.Helper()
	last, err := r.b.LastSeq(within(t))
	if err != nil || last <= seq {
		return nil, err
	}
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	err = r.b.Feed(ctx, seq, func(records []broker.Record) error {
		all = append(all, records...)
		if len(records) > 0 && records[len(records)-1].Seq >= last {
			cancel()
		}
		return nil
	})
	if ctx.Err() != nil {
		err = nil
	}
	return all, err
}
