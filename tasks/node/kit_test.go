//go:build unix

package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// world is a store of its own, and the workers of a test.
type world struct {
	testing.TB
	b *broker.Broker
	s *blob.Store
}

func newWorld(t testing.TB, o broker.Options) *world {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Durability == "" {
		o.Durability = "interval:200ms"
	}
	b, err := broker.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	s, err := blob.Open(blob.Options{Objects: b.Objects(), Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return &world{t, b, s}
}

// bare is an environment without the user's profile.
func bare() rpool.Environment {
	return rpool.Environment{Env: []string{"R_PROFILE_USER=/dev/null", "R_ENVIRON_USER=/dev/null"}}
}

// running is a worker that runs.
type running struct {
	*Node
	w    *world
	stop context.CancelFunc
	done chan struct{}
	err  error
}

// worker starts one; it ends with the test.
func (w *world) worker(o Options) *running {
	w.Helper()
	if o.Max == 0 {
		o.Max = 1
	}
	o.CacheDir = w.TempDir()
	user := o.Base.User
	o.Base = bare()
	if o.Base.User = user; user != "" {
		o.Base.Dir = "/"
	}
	if o.Limits.Grace == 0 {
		o.Limits.Grace = time.Second
	}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(w.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	n, err := New(w.b, w.s, o)
	if err != nil {
		w.Fatal(err)
	}
	r := &running{Node: n, w: w, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	go func() {
		defer close(r.done)
		r.err = n.Run(ctx)
	}()
	w.Cleanup(r.end)
	return r
}

// end stops it, and waits.
func (r *running) end() {
	r.stop()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		panic("a worker does not end")
	}
}

var ids sync.Mutex

func newID() string {
	ids.Lock()
	defer ids.Unlock()
	return strings.ToLower(ulid.Make().String())
}

// r is the code of a function as text.
func r(code string) tasks.Call {
	return tasks.Call{Kind: tasks.CallFunction, Code: tasks.Value{Data: []byte(code)}, Text: true}
}

// expr is that of an expression.
func expr(code string) tasks.Call {
	return tasks.Call{Kind: tasks.CallExpr, Code: tasks.Value{Data: []byte(code)}, Text: true}
}

func number64(x float64) []byte { return encoded(&rdata.Double{Values: []float64{x}}) }

func encoded(v rdata.Value) []byte {
	b, err := rdata.Append(nil, v, rdata.Format{})
	if err != nil {
		panic(err)
	}
	return b
}

// submit writes a job, with elements where it is over some, and pushes its work.
func (w *world) submit(j tasks.Job, elements ...[]byte) *tasks.Job {
	w.Helper()
	ctx := w.Context()
	if j.ID == "" {
		j.ID = newID()
	}
	j.Owner, j.Created, j.N, j.Lane = "ann", time.Now().UTC(), 1, tasks.Normal
	if j.Queue == "" {
		j.Queue = tasks.DefaultQueue
	}
	if len(elements) > 0 {
		j.N, j.Array, j.Over.PerBlock = len(elements), true, 1000
		for at := 0; at < len(elements); at += 1000 {
			ref, err := w.s.PutBytes(ctx, blob.WriteBlock(elements[at:min(at+1000, len(elements))]))
			if err != nil {
				w.Fatal(err)
			}
			j.Over.Blocks = append(j.Over.Blocks, ref)
		}
	}
	writes := []broker.Write{{Subject: tasks.JobSubject(j.ID), Data: w.json(&j)}}
	var work []broker.Work
	for n := 1; n <= j.N; n++ {
		t := j.New(n)
		t.Held = false // nobody admits here
		writes = append(writes, broker.Write{Subject: tasks.TaskSubject(j.ID, n), Data: w.json(t)})
		work = append(work, broker.Work{Queue: j.Queue, Lane: j.Lane, Job: j.ID, N: n})
	}
	var revs []uint64
	for at := 0; at < len(writes); at += 500 {
		seqs, errs := w.b.WriteAll(ctx, writes[at:min(at+500, len(writes))])
		if err := errors.Join(errs...); err != nil {
			w.Fatal(err)
		}
		revs = append(revs, seqs...)
	}
	told := make([]broker.Told, len(work)) // every other, as new ones are and others are not
	for i := 0; i < len(told); i += 2 {
		told[i] = broker.Told{Rev: revs[i+1], Data: writes[i+1].Data}
	}
	if err := w.b.PushTold(ctx, work, told); err != nil {
		w.Fatal(err)
	}
	return &j
}

func (w *world) json(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *world) task(j *tasks.Job, n int) *tasks.Task {
	w.Helper()
	r, err := w.b.Get(w.Context(), tasks.TaskSubject(j.ID, n))
	if err != nil {
		w.Fatal(err)
	}
	t := &tasks.Task{}
	if err := json.Unmarshal(r.Data, t); err != nil {
		w.Fatal(err)
	}
	t.Rev = r.Seq
	return t
}

// until polls for a condition.
func (w *world) until(what string, ok func() bool) {
	w.Helper()
	deadline := time.Now().Add(patient)
	for !ok() {
		if time.Now().After(deadline) {
			w.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks; nothing tells of a record's change
	}
}

// await waits until task n of j has a state.
func (w *world) await(j *tasks.Job, n int, s tasks.State) *tasks.Task {
	w.Helper()
	var t *tasks.Task
	deadline := time.Now().Add(patient)
	for {
		if t = w.task(j, n); t.State == s {
			return t
		}
		if t.State.Final() || time.Now().After(deadline) {
			w.Fatalf("task %s is %s and not %s: %+v", t.ID(), t.State, s, t.Failure)
		}
		time.Sleep(2 * time.Millisecond) // as in until
	}
}

// end waits for the end of all tasks of j, and counts their states.
func (w *world) end(j *tasks.Job) map[tasks.State]int {
	w.Helper()
	var states map[tasks.State]int
	w.until("all tasks have ended", func() bool {
		states = map[tasks.State]int{}
		open := 0
		err := w.b.Range(w.Context(), "rp.s."+j.ID+".*", func(r broker.Record) error {
			var t tasks.Task
			if err := json.Unmarshal(r.Data, &t); err != nil {
				return err
			}
			if states[t.State]++; !t.State.Final() {
				open++
			}
			return nil
		})
		if err != nil {
			w.Fatal(err)
		}
		return open == 0
	})
	return states
}

// shown is the result of a task.
func (w *world) shown(t *tasks.Task) string {
	w.Helper()
	b := t.Result.Data
	if t.Result.Ref != "" {
		var err error
		if b, err = w.s.Bytes(w.Context(), t.Result.Ref, 1<<30); err != nil {
			w.Fatal(err)
		}
	}
	v, err := rdata.Unmarshal(b, nil)
	if err != nil {
		w.Fatalf("result of %s: %v", t.ID(), err)
	}
	switch v := v.(type) {
	case *rdata.Character:
		var all []string
		for i := range len(v.Offsets) - 1 {
			all = append(all, string(v.Data[v.Offsets[i]:v.Offsets[i+1]]))
		}
		return strings.Join(all, " ")
	case *rdata.Double:
		return strings.Trim(fmt.Sprint(v.Values), "[]")
	case *rdata.Integer:
		return strings.Trim(fmt.Sprint(v.Values), "[]")
	}
	return fmt.Sprintf("%T", v)
}

// told is the log of a task.
func (w *world) told(j *tasks.Job, n int) (lines []string, progress *tasks.Value) {
	w.Helper()
	if err := w.b.FlushLog(w.Context()); err != nil {
		w.Fatal(err)
	}
	err := w.b.ReadLog(w.Context(), j.ID, n, 0, func(_ uint64, _ time.Time, data []byte) error {
		var m tasks.Told
		if err := json.Unmarshal(data, &m); err != nil {
			return err
		}
		for _, l := range m.Lines {
			lines = append(lines, l.Stream+" "+l.Text)
		}
		if m.Progress != nil {
			progress = m.Progress
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
	return lines, progress
}

// cancel is what a server does.
func (w *world) cancel(j *tasks.Job, n int) {
	w.Helper()
	t := w.task(j, n)
	worker := ""
	if t.Lease != nil {
		worker = t.Lease.Worker
	}
	if err := t.Cancel("ann", time.Now().UTC()); err != nil {
		w.Fatal(err)
	}
	if _, err := w.b.Write(w.Context(), broker.Write{Subject: tasks.TaskSubject(j.ID, n), Data: w.json(t), Expect: t.Rev}); err != nil {
		w.Fatal(err)
	}
	if worker != "" {
		if err := w.b.Publish(tasks.MessageSubject(worker), w.json(tasks.Message{Type: "cancelled", Tasks: []string{t.ID()}})); err != nil {
			w.Fatal(err)
		}
	}
}

// patient is how long tests wait for what must come.
const patient = 2 * time.Minute

// valuesIn is a store of values in a directory, which a test may take away.
func valuesIn(t *testing.T) (s *blob.Store, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "values")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := blob.Open(blob.Options{Dir: dir, Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}
