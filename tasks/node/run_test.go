//go:build unix

package node

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

func TestTasksRun(t *testing.T) {
	w := newWorld(t, broker.Options{})
	n := w.worker(Options{ID: "one", Max: 2, LogTasks: true})

	j := w.submit(tasks.Job{Call: r("function(x, by) x * by")}, number64(1), number64(2), number64(3))
	_ = j
	one := w.submit(tasks.Job{Call: r("function() { cat('said\\n'); message('told'); warning('warned'); Sys.getenv('RPIPE_TASK_ID') }")})
	done := w.await(one, 1, tasks.Complete)
	if got := w.shown(done); got != one.ID+".1" {
		t.Error(got)
	}
	if done.Attempt != 1 || len(done.Past) != 1 || done.Past[0].Cause != tasks.CauseDone || done.Past[0].Worker != "one" || done.Past[0].Pid == 0 || strings.Join(done.Warnings, " ") != "warned" {
		t.Errorf("%+v", done)
	}
	if lines, _ := w.told(one, 1); strings.Join(lines, "|") != "stdout said|message told|warning warned" {
		t.Errorf("%q", lines)
	}

	// by is missing in all three
	for k := 1; k <= 3; k++ {
		f := w.await(j, k, tasks.Error).Failure
		if f.Cause != tasks.CauseError || !strings.Contains(f.Message, `"by" is missing`) || len(f.Traceback) == 0 || f.Classes[len(f.Classes)-1] != "condition" {
			t.Errorf("%+v", f)
		}
	}
	call := r("function(x, by) x * by")
	call.Args = []tasks.Arg{{Name: "by", Value: tasks.Value{Data: number64(10)}}}
	j = w.submit(tasks.Job{Call: call}, number64(1), number64(2), number64(3))
	for k, want := range []string{"10", "20", "30"} {
		if got := w.shown(w.await(j, k+1, tasks.Complete)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	big := w.await(w.submit(tasks.Job{Call: r("function() numeric(1e5) + 1")}), 1, tasks.Complete)
	if big.Result.Ref == "" || big.Result.Data != nil || big.Result.Size < 8e5 {
		t.Errorf("a large result: %+v", big.Result)
	}
	huge := w.await(w.submit(tasks.Job{Call: r("function() numeric(2e6) + 1")}), 1, tasks.Complete)
	if v := w.shown(huge); huge.Result.Size < 16e6 || !strings.HasPrefix(v, "1 1 1") {
		t.Errorf("a huge result: %+v", huge.Result)
	}
	// and as an argument
	sum := r("function(v) sum(v)")
	sum.Args = []tasks.Arg{{Value: tasks.Value{Ref: huge.Result.Ref, Size: huge.Result.Size}}}
	if got := w.shown(w.await(w.submit(tasks.Job{Call: sum}), 1, tasks.Complete)); got != "2e+06" {
		t.Error(got)
	}
	// results of others
	all := r("function(all, second) c(length(all), sum(unlist(all)), second)")
	all.Args = []tasks.Arg{{Name: "all", Task: j.ID}, {Name: "second", Task: tasks.TaskID(j.ID, 2)}}
	if got := w.shown(w.await(w.submit(tasks.Job{Call: all}), 1, tasks.Complete)); got != "3 60 20" {
		t.Error(got)
	}
	// an element that is too large to be in memory
	mb := make([]byte, 40<<20)
	for i := range mb {
		mb[i] = byte(i)
	}
	large := w.submit(tasks.Job{Call: r("function(x) c(length(x), as.integer(x[300]))")}, number64(0), encoded(&rdata.Raw{Values: mb}))
	if got := w.shown(w.await(large, 2, tasks.Complete)); got != "41943040 43" {
		t.Error(got)
	}
	n.end()
	if n.err != nil {
		t.Error(n.err)
	}
	if q, err := w.b.Queued(t.Context(), tasks.DefaultQueue); err != nil || q != 0 {
		t.Errorf("%d messages are left, %v", q, err)
	}
}

// A task that has to be admitted is not run again without that.
func TestLimitedJobIsAdmittedAgain(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{})
	j := w.submit(tasks.Job{Call: expr("stop('once more')"), MaxRunning: 1, Retry: tasks.Retry{Errors: 2}})
	w.until("it has failed", func() bool { return w.task(j, 1).Errors == 1 })
	got := w.task(j, 1)
	if got.State != tasks.Pending || !got.Held || got.NotBefore.IsZero() {
		t.Errorf("%+v", got)
	}
	w.until("its message is gone", func() bool {
		q, err := w.b.Queued(t.Context(), tasks.DefaultQueue)
		return err == nil && q == 0
	})
}

// While a task runs its record says where, and ends as that of others.
func TestLongTaskHasPid(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{ID: "one"})
	code, open := gated(t)
	j := w.submit(tasks.Job{Call: expr(code + "; Sys.getpid()")})
	w.until("its process is known", func() bool { l := w.task(j, 1).Lease; return l != nil && l.Pid > 0 })
	pid := w.task(j, 1).Lease.Pid
	open()
	if got := w.shown(w.await(j, 1, tasks.Complete)); got != fmt.Sprint(pid) {
		t.Errorf("%s, and not %d", got, pid)
	}
}

// TestAnotherJobOfTheSameID: what is remembered of a job that was deleted is not used for
// another one with its id, or its key.
func TestAnotherJobOfTheSameID(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{ID: "one"})
	code := func(text, by string) tasks.Job {
		call := r(text)
		call.Args = []tasks.Arg{{Value: tasks.Value{Data: encoded(rdataText(by))}}}
		return tasks.Job{Call: call}
	}
	first := w.submit(code("function(x) paste('first', x)", "a"))
	if got := w.shown(w.await(first, 1, tasks.Complete)); got != "first a" {
		t.Fatal(got)
	}
	for _, subject := range []string{tasks.TaskSubject(first.ID, 1), tasks.JobSubject(first.ID)} {
		if _, err := w.b.Write(w.Context(), broker.Write{Subject: subject, Any: true, Delete: true}); err != nil {
			t.Fatal(err)
		}
	}
	again := code("function(x) paste('again', x)", "b")
	again.ID = first.ID
	w.until("the message of the first has gone", func() bool {
		queued, err := w.b.Queued(w.Context(), tasks.DefaultQueue)
		return err == nil && queued == 0
	})
	if got := w.shown(w.await(w.submit(again), 1, tasks.Complete)); got != "again b" {
		t.Errorf("%q: that is the code or the argument of the job before", got)
	}
}
