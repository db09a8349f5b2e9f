package node

import (
	"strings"
	"testing"

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
	n.end()
	if n.err != nil {
		t.Error(n.err)
	}
	if q, err := w.b.Queued(t.Context(), tasks.DefaultQueue); err != nil || q != 0 {
		t.Errorf("%d messages are left, %v", q, err)
	}
}
