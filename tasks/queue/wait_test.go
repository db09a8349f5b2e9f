package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// TestWait: all, any and the first error; what is missing does not keep anybody waiting.
func TestWait(t *testing.T) {
	r := start(t)
	never := r.submit(ann, text("a", in("nobody")))
	good := r.submit(ann, text("a", over(3)))
	bad := r.submit(ann, text("fail", over(2)))
	f := func(until Until, ids ...string) WaitResult {
		t.Helper()
		w, err := r.Wait(within(t), ann, ids, until)
		if err != nil || !w.Done {
			t.Errorf("%+v, %v", w, err)
		}
		return w
	}
	r.work("w", byCode)
	if w := f(Any, never.ID, good.ID); !slices.Equal(w.Ended, []string{good.ID}) || w.Total != 4 || w.States[tasks.Pending] != 1 {
		t.Errorf("%+v", w)
	}
	if w := f(FirstError, never.ID, bad.ID+".1"); !slices.Equal(w.Failed, []string{bad.ID + ".1"}) {
		t.Errorf("%+v", w)
	}
	if w := f(All, good.ID, bad.ID, good.ID+".2"); w.Total != 6 || w.States[tasks.Complete] != 4 || w.States[tasks.Error] != 2 || len(w.Failed) != 2 || len(w.Ended) != 3 {
		t.Errorf("%+v", w)
	}
	if w := f(All, good.ID, newID(), "x"); len(w.Missing) != 2 {
		t.Errorf("%+v", w)
	}
	if w, err := r.Wait(within(t), bob, []string{good.ID}, All); err != nil || len(w.Missing) != 1 || w.Total != 0 {
		t.Errorf("bob: %+v, %v", w, err)
	}
	for limit := time.Duration(0); ; limit = max(2*limit, 20*time.Millisecond) { // the first ends at once, a long one tells how far it is
		short, cancel := context.WithTimeout(t.Context(), limit)
		w, err := r.Wait(short, ann, []string{never.ID, good.ID}, All)
		cancel()
		if err != nil || w.Done || limit > time.Minute {
			t.Fatalf("%+v, %v", w, err)
		}
		if w.States[tasks.Pending] == 1 && w.States[tasks.Complete] == 3 {
			break
		}
	}
	var wrong *InvalidError
	if _, err := r.Wait(within(t), ann, nil, "soon"); !errors.As(err, &wrong) {
		t.Error(err)
	}
}

// TestWaitFollows: a task that is retried while somebody waits for it has not ended
// before its successor has.
func TestWaitFollows(t *testing.T) {
	for _, counted := range []bool{false, true} {
		r := start(t)
		w := r.work("w", byCode)
		const n = 60
		if counted {
			r.tracked = n - 1
		}
		j := r.submit(ann, text("fail", over(n)))
		held := r.submit(ann, text("a", in("nobody")))
		r.wait(j.ID)
		w.stop()
		waited := make(chan WaitResult, 1)
		go func() {
			w, err := r.Wait(within(t), ann, []string{j.ID, held.ID}, All)
			if err != nil {
				t.Error(err)
			}
			waited <- w
		}()
		out, err := r.Retry(within(t), ann, []string{j.ID + ".2"}, RetryOptions{})
		if err != nil || out[0].Err != nil {
			t.Fatalf("%+v, %v", out, err)
		}
		r.becomes(out[0].NewID, tasks.Pending) // so long has the other call had to hear of it
		if _, err := r.Cancel(within(t), ann, []string{held.ID}); err != nil {
			t.Fatal(err)
		}
		select {
		case w := <-waited:
			t.Fatalf("%+v: the successor has not run", w)
		default:
		}
		r.work("v", done)
		if w := <-waited; !w.Done || w.States[tasks.Complete] != 1 || w.States[tasks.Error] != int64(n-1) || w.Total != int64(n+1) {
			t.Errorf("%+v", w)
		}
	}
}

// TestWaitForMany: a large job is counted, and many ids are one call.
func TestWaitForMany(t *testing.T) {
	r := start(t)
	r.tracked = MaxEnded
	large := r.submit(ann, text("a", over(MaxEnded+5)))
	var ids []string
	for n := 1; n <= MaxEnded; n++ {
		ids = append(ids, tasks.TaskID(large.ID, n))
	}
	waited := make(chan WaitResult, 1)
	go func() {
		w, err := r.Wait(within(t), ann, []string{large.ID}, All)
		if err != nil {
			t.Error(err)
		}
		waited <- w
	}()
	r.work("w", done)
	if w := r.wait(ids...); w.Total != MaxEnded || len(w.Ended) != MaxEnded {
		t.Errorf("%d, %d", w.Total, len(w.Ended))
	}
	if w := <-waited; !w.Done || w.States[tasks.Complete] != MaxEnded+5 {
		t.Errorf("%+v", w)
	}
}

// TestWaitLatency: a waiter hears of the end when it comes.
func TestWaitLatency(t *testing.T) {
	r := start(t)
	r.work("w", done)
	var took []time.Duration
	for range 200 {
		began := time.Now()
		r.wait(r.submit(ann, text("a")).ID)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from submission to the end of the wait: p50 %s, p99 %s", took[100], took[198])
	if took[100] > time.Second {
		t.Errorf("p50 %s", took[100])
	}
}

// TestClose: those who wait are told.
func TestClose(t *testing.T) {
	r := start(t)
	j := r.submit(ann, text("a"))
	waited := make(chan error, 1)
	go func() {
		_, err := r.Wait(within(t), ann, []string{j.ID}, All)
		waited <- err
	}()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestResults: at any time, in the order of the elements or of their ends.
func TestResults(t *testing.T) {
	r := start(t)
	w := r.workBy("w", 1, func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		if t.N == 3 && t.Origin == "" {
			return fails(t, j)
		}
		return tasks.Outcome{Cause: tasks.CauseDone, Result: tasks.Value{Data: fmt.Appendf(nil, "%d", max(t.N, t.RootN)), Size: 1}}
	})
	j := r.submit(ann, text("a", over(4)))
	r.wait(j.ID)
	w.stop()
	front := tasks.Front
	if _, err := r.Move(within(t), ann, []string{j.ID}, "", &front); err != nil {
		t.Fatal(err)
	}
	f := func(o ResultsOptions) (got []string) {
		t.Helper()
		err := r.Results(within(t), ann, j.ID, o, func(n int, task *tasks.Task) error {
			got = append(got, fmt.Sprint(n, " ", task.State, " ", string(task.Result.Data)))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return got
	}
	want := []string{"1 COMPLETE 1", "2 COMPLETE 2", "3 ERROR ", "4 COMPLETE 4"}
	for _, o := range []ResultsOptions{{}, {Follow: true}, {AsEnded: true}, {AsEnded: true, Follow: true}} {
		if got := f(o); !slices.Equal(got, want) {
			t.Errorf("%+v: %q", o, got)
		}
	}
	if got := f(ResultsOptions{From: 2, To: 3}); !slices.Equal(got, want[1:3]) {
		t.Errorf("%q", got)
	}
	out, err := r.Retry(within(t), ann, []string{j.ID}, RetryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := f(ResultsOptions{}); !slices.Equal(got, []string{want[0], want[1], want[3]}) {
		t.Errorf("%q", got)
	}
	follows := make(chan []string, 2)
	go func() { follows <- f(ResultsOptions{Follow: true}) }()
	go func() { follows <- f(ResultsOptions{Follow: true, AsEnded: true}) }()
	r.work("v", func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		return tasks.Outcome{Cause: tasks.CauseDone, Result: tasks.Value{Data: fmt.Appendf(nil, "%d again", t.RootN), Size: 1}}
	})
	r.wait(out[0].NewID)
	for range 2 {
		got := <-follows
		if slices.Sort(got); !slices.Equal(got, []string{want[0], want[1], "3 COMPLETE 3 again", want[3]}) {
			t.Errorf("%q", got)
		}
	}
	got, err := r.Result(within(t), ann, j.ID+".3")
	if err != nil || string(got.Result.Data) != "3 again" {
		t.Errorf("%+v, %v", got, err)
	}
	var conflict *ConflictError
	if _, err := r.Result(within(t), ann, r.submit(ann, text("a", in("nobody"))).ID+".1"); !errors.As(err, &conflict) {
		t.Error(err)
	}
}

// TestResultsOfWhatIsRetriedMeanwhile: what had ended, and is retried before its turn has
// come, is waited for.
func TestResultsOfWhatIsRetriedMeanwhile(t *testing.T) {
	r := start(t)
	j := r.submit(ann, text("a", over(3), in("q")))
	cancel := func(n int) {
		t.Helper()
		if _, err := r.Cancel(within(t), ann, []string{tasks.TaskID(j.ID, n)}); err != nil {
			t.Error(err)
		}
	}
	cancel(1)
	cancel(3)
	var got []tasks.State
	err := r.Results(within(t), ann, j.ID, ResultsOptions{Follow: true}, func(n int, task *tasks.Task) error {
		if got = append(got, task.State); n == 1 { // all three have been looked at
			if _, err := r.Retry(within(t), ann, []string{tasks.TaskID(j.ID, 3)}, RetryOptions{}); err != nil {
				t.Error(err)
			}
			cancel(2)
			r.work("w", done, "q")
		}
		return nil
	})
	if want := []tasks.State{tasks.Cancelled, tasks.Cancelled, tasks.Complete}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v: want %v", got, err, want)
	}
}

// TestEvents: changes of one's own tasks, and of nobody else's.
func TestEvents(t *testing.T) {
	r := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := r.Events(ctx, ann, Scope{})
	if err != nil {
		t.Fatal(err)
	}
	r.submit(bob, text("a"))
	j := r.submit(ann, text("a"))
	r.work("w", done)
	r.wait(j.ID)
	for e := range events {
		if e.Task.Owner != "ann" {
			t.Errorf("%+v", e.Task)
		}
		if e.Task.State == tasks.Complete {
			cancel()
		}
	}
	if _, err := r.Events(t.Context(), bob, Scope{Job: j.ID}); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}

// TestLog: what was printed, and what is printed until the end.
func TestLog(t *testing.T) {
	r := start(t)
	gate := make(chan struct{})
	say := func(id, what string) {
		k, _ := keyOf(id)
		if err := errors.Join(r.b.Log(within(t), k.job, k.n, []byte(what)), r.b.FlushLog(within(t))); err != nil {
			t.Error(err)
		}
	}
	j := r.submit(ann, text("a"))
	id := j.ID + ".1"
	say(id, `{"lines":[{"l":"one"}]}`)
	r.work("w", func(t *tasks.Task, j *tasks.Job) tasks.Outcome {
		<-gate
		say(t.ID(), `{"progress":{"data":"aGFsZg=="}}`)
		return done(t, j)
	})
	var got bytes.Buffer
	var seen atomic.Int64
	read := func(_ uint64, _ time.Time, data []byte) error {
		got.Write(data)
		if seen.Add(1) == 1 {
			close(gate)
		}
		return nil
	}
	if err := r.Log(within(t), ann, id, 0, true, read); err != nil {
		t.Fatal(err)
	}
	if got.String() != `{"lines":[{"l":"one"}]}{"progress":{"data":"aGFsZg=="}}` {
		t.Errorf("%s", &got)
	}
	v, at, err := r.Progress(within(t), ann, id)
	if err != nil || v == nil || string(v.Data) != "half" || at.IsZero() {
		t.Errorf("%v, %v, %v", v, at, err)
	}
	if err := r.Log(within(t), bob, id, 0, false, read); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
}

// TestListing: listings see what was done before, and only what the asker may see.
func TestListing(t *testing.T) {
	r := start(t, noChores)
	j := r.submit(ann, text("a", over(5), func(s *Submission) { s.Job.Name, s.Job.Labels = "fit", map[string]string{"kind": "nightly"} }))
	r.submit(bob, text("b"))
	rows, _, err := r.Tasks(within(t), ann, index.Filter{Labels: map[string]string{"kind": "nightly"}})
	if err != nil || len(rows) != 5 {
		t.Errorf("%d, %v", len(rows), err)
	}
	f := func(who Who, f index.Filter, want int) {
		t.Helper()
		jobs, _, err := r.Jobs(within(t), who, f)
		if err != nil || len(jobs) != want {
			t.Errorf("%d jobs, %v: want %d", len(jobs), err, want)
		}
	}
	f(ann, index.Filter{}, 1)
	f(ann, index.Filter{Owner: "bob"}, 0)
	f(root, index.Filter{}, 2)
	f(Who{Owner: "eve", Read: true}, index.Filter{Owner: "bob"}, 1)
	row, err := r.Row(within(t), ann, j.ID)
	if err != nil || row.Counts[tasks.Pending] != 5 {
		t.Errorf("%+v, %v", row, err)
	}
	if _, err := r.Row(within(t), bob, j.ID); !errors.Is(err, ErrMissing) {
		t.Error(err)
	}
	named, err := r.JobNamed(within(t), ann, "fit")
	if err != nil || named.ID != j.ID {
		t.Errorf("%v, %v", named, err)
	}
}

// TestStaleNews: a change that happened before what was read does not undo it.
func TestStaleNews(t *testing.T) {
	var told []tasks.State
	w := &watch{
		targets: []target{{job: "j", from: 3, to: 4}}, revs: [][]uint64{make([]uint64, 2)},
		whole: map[string]int{"j": 0}, single: map[key][]place{}, known: map[string]bool{"j": true},
		see: func(_, _ int, t *tasks.Task) error { told = append(told, t.State); return nil },
	}
	for _, task := range []*tasks.Task{
		{Job: "j", N: 4, State: tasks.Running, Rev: 7}, {Job: "j", N: 4, State: tasks.Error, Rev: 6},
		{Job: "j", N: 3, State: tasks.Pending, Rev: 2}, {Job: "j", N: 5, State: tasks.Died, Rev: 9},
	} {
		if again, err := w.change(index.Event{Task: task}); again || err != nil {
			t.Error(again, err)
		}
	}
	if !slices.Equal(told, []tasks.State{tasks.Running, tasks.Pending}) {
		t.Errorf("%v", told)
	}
}

// TestWaitIsOfOneMoment: what was read before a retry, and what was after it, do not
// together make an end that never was.
func TestWaitIsOfOneMoment(t *testing.T) {
	r := start(t, noChores)
	j := r.submit(ann, text("fail", over(2)))
	w := r.work("w", fails)
	r.wait(j.ID)
	w.stop()
	told, over := 0, true
	f := &watch{q: r.Queue, targets: []target{{job: j.ID, from: 1, to: 2}}}
	f.see = func(_, _ int, now *tasks.Task) error {
		if told++; told == 2 { // all has been read, and is retried before anybody asks
			if _, err := r.Retry(within(t), ann, []string{j.ID + ".1"}, RetryOptions{}); err != nil {
				return err
			}
		}
		over = now.State != tasks.Pending
		return nil
	}
	f.settled = func() (bool, error) { return over || told > 2, nil }
	if err := f.run(within(t)); err != nil || told == 2 {
		t.Errorf("it was over after %d, %v", told, err)
	}
}

// TestWaitForALargeJobWithoutSome: tasks that were deleted are not waited for.
func TestWaitForALargeJobWithoutSome(t *testing.T) {
	r := start(t)
	r.tracked = 2
	j := r.submit(ann, text("a", over(5)))
	r.work("w", done)
	r.wait(j.ID)
	if out, err := r.Delete(within(t), ann, []string{tasks.TaskID(j.ID, 2), tasks.TaskID(j.ID, 4)}); err != nil || out[0].Err != nil || out[1].Err != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if w, err := r.HowFar(within(t), ann, []string{j.ID}, All); err != nil || !w.Done || w.States[tasks.Complete] != 3 || w.States[tasks.Missing] != 2 {
		t.Errorf("%+v, %v", w, err)
	}
}
