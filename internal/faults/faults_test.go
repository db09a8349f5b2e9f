//go:build unix

package faults

import (
	"encoding/json"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

const two = "workers: {max: 2}\n"

// The R process of task 1 of 4 is killed: it is run again, the others are not touched,
// and the pool is as large as before.
func TestTheProcessOfATaskIsKilled(t *testing.T) {
	s := serve(t, two)
	job := s.submit(`function(i) { if (i == 1 && !file.exists(`+s.path("again")+`)) { `+s.touch("pid")+`; file.create(`+s.path("again")+`); Sys.sleep(60) }; i * 10 }`, 4, nil)
	pid := s.running(job.ID+".1", "pid")
	began := time.Now()
	_ = syscall.Kill(pid, syscall.SIGKILL)
	s.complete(job)
	took := time.Since(began)
	task := s.task(job.ID + ".1")
	if task.Attempt != 2 || len(task.Past) == 0 || task.Past[0].Cause != "signal" || !strings.Contains(task.Past[0].Message, "SIGKILL") {
		t.Errorf("attempt %d, past %+v", task.Attempt, task.Past)
	}
	for n, want := range []string{"10", "20", "30", "40"} {
		if got := s.value(job, n+1); got != want {
			t.Errorf("value %d is %s, want %s", n+1, got, want)
		}
	}
	s.works()
	t.Logf("complete %s after the kill", took.Round(time.Millisecond))
}

// A task that kills its process every time is DIED after three attempts, and says why.
func TestATaskKillsItsProcessEveryTime(t *testing.T) {
	s := serve(t, two)
	began := time.Now()
	job := s.submit(`function(i) { if (i == 2) tools::pskill(Sys.getpid(), 9); i }`, 3, func(sub *api.Submission) {
		sub.Retry = &api.Retry{Delay: api.Duration(10 * time.Millisecond)}
	})
	if got := s.states(job.ID); got["COMPLETE"] != 2 || got["DIED"] != 1 {
		t.Fatalf("%v", got)
	}
	took := time.Since(began)
	task := s.task(job.ID + ".2")
	if task.Attempt != 3 || task.Failure == nil || task.Failure.Cause != "signal" || !strings.Contains(task.Failure.Message, "SIGKILL") {
		t.Errorf("attempt %d, %+v", task.Attempt, task.Failure)
	}
	s.works()
	t.Logf("three attempts were over %s after the submission", took.Round(time.Millisecond))
}

// A worker elsewhere is killed: its task is run by another within the lease.
func TestAWorkerIsKilled(t *testing.T) {
	s := serve(t, "workers: {none: true}\n")
	first := s.worker("--max", "1", "--name", "first")
	job := s.submit(`function() { `+s.touch("pid")+`; if (!file.exists(`+s.path("again")+`)) { file.create(`+s.path("again")+`); Sys.sleep(60) }; "done" }`, 0, nil)
	s.running(job.ID, "pid")
	s.worker("--max", "1", "--name", "second")
	s.complete(s.submit("function() 1", 0, nil)) // it has R up
	began := time.Now()
	first.kill()
	s.complete(job)
	took := time.Since(began)
	task := s.task(job.ID + ".1")
	if task.Attempt != 2 || len(task.Past) == 0 || task.Past[0].Cause != "host_lost" || task.Past[0].Worker != "first" {
		t.Errorf("attempt %d, past %+v", task.Attempt, task.Past)
	}
	if took > 3*lease+10*time.Second {
		t.Errorf("complete %s after the kill, with a lease of %s", took, lease)
	}
	t.Logf("complete %s after the kill, with a lease of %s", took.Round(time.Millisecond), lease)
}

// The server is killed while tasks run and wait: the next start loses none of them.
func TestTheServerIsKilled(t *testing.T) {
	s := serve(t, two)
	job := s.submit(`function(i) { Sys.sleep(0.02); i }`, 200, nil)
	s.until("some are done", func() bool {
		j, err := s.c.Job(t.Context(), job.ID)
		return err == nil && j.States["COMPLETE"] > 20
	})
	s.main.kill()
	began := time.Now()
	s.start()
	up := time.Since(began)
	s.complete(job)
	seen := 0
	err := s.c.Results(t.Context(), job.ID, 1, 0, func(r *api.Result) error {
		seen++
		var v int
		if r.Value == nil || json.Unmarshal(r.Value.JSON, &v) != nil || v != r.N {
			t.Errorf("task %d: %+v", r.N, r)
		}
		return nil
	})
	if err != nil || seen != 200 {
		t.Errorf("%d results, %v", seen, err)
	}
	t.Logf("up again after %s", up.Round(time.Millisecond))
}

// A worker that was paused for longer than its lease finds that its task was done by
// another: what it writes is refused.
func TestAPausedWorkerWakesUp(t *testing.T) {
	s := serve(t, "workers: {none: true}\n")
	first := s.worker("--max", "1", "--name", "first")
	job := s.submit(`function() { `+s.touch("pid")+`; Sys.sleep(1.5); Sys.getenv("RPIPE_WORKER_ID") }`, 0, nil)
	s.running(job.ID, "pid")
	_ = first.cmd.Process.Signal(syscall.SIGSTOP)
	began := time.Now()
	s.worker("--max", "1", "--name", "second")
	s.complete(job)
	took := time.Since(began)
	_ = first.cmd.Process.Signal(syscall.SIGCONT)
	s.until("the first works again", func() bool {
		list, err := s.c.Workers(t.Context())
		return err == nil && len(list.Workers) == 2 && list.Workers[0].State == "IDLE" && list.Workers[1].State == "IDLE"
	})
	if got := s.value(job, 1); got != `"second"` {
		t.Errorf("value %s", got)
	}
	if task := s.task(job.ID + ".1"); task.State != "COMPLETE" || task.Attempt != 2 {
		t.Errorf("%+v", task)
	}
	t.Logf("complete %s after the pause began, of which 1.5 s are the task's", took.Round(time.Millisecond))
}

// A worker is cut off and nobody is told: as with one that was paused.
func TestTheNetworkIsCut(t *testing.T) {
	s := serve(t, "workers: {none: true}\n")
	line := s.cable("join", "moved")
	p := s.run("worker", "--join", "moved", "--max", "1", "--name", "far", "--grace", "1s")
	s.logged(p, regexp.MustCompile(`msg=working worker=(\S+)`))
	job := s.submit(`function() { `+s.touch("pid")+`; Sys.sleep(1.5); Sys.getenv("RPIPE_WORKER_ID") }`, 0, nil)
	s.running(job.ID, "pid")
	line.set(true)
	began := time.Now()
	s.worker("--max", "1", "--name", "near")
	s.complete(job)
	took := time.Since(began)
	line.set(false)
	if got := s.value(job, 1); got != `"near"` {
		t.Errorf("value %s", got)
	}
	s.until("the far one is back", func() bool {
		list, err := s.c.Workers(t.Context())
		return err == nil && len(list.Workers) == 2
	})
	if task := s.task(job.ID + ".1"); task.State != "COMPLETE" || task.Attempt != 2 {
		t.Errorf("%+v", task)
	}
	t.Logf("complete %s after the cut, of which 1.5 s are the task's", took.Round(time.Millisecond))
}

// Running tasks are cancelled: R code stops at once and its process lives on; compiled
// code that does not listen is killed.
func TestRunningTasksAreCancelled(t *testing.T) {
	s := serve(t, two)
	loop := s.submit(`function() { `+s.touch("loop")+`; repeat Sys.sleep(0.01) }`, 0, nil)
	pid := s.running(loop.ID, "loop")
	began := time.Now()
	if _, err := s.c.Cancel(t.Context(), loop.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.states(loop.ID); got["CANCELLED"] != 1 {
		t.Errorf("%v", got)
	}
	took := time.Since(began)
	next := s.submit(`function(i) { Sys.sleep(0.3); Sys.getpid() }`, 2, nil)
	s.complete(next)
	if one, other := s.value(next, 1), s.value(next, 2); one != pidText(pid) && other != pidText(pid) {
		t.Errorf("process %d is gone: %s and %s ran the next tasks", pid, one, other)
	}
	deaf := s.submit(`function() { `+s.touch("deaf")+`; m <- matrix(1, 2500, 2500); repeat m <- m %*% m }`, 0, nil)
	s.running(deaf.ID, "deaf")
	began = time.Now()
	if _, err := s.c.Cancel(t.Context(), deaf.ID); err != nil {
		t.Fatal(err)
	}
	if got := s.states(deaf.ID); got["CANCELLED"] != 1 {
		t.Errorf("%v", got)
	}
	killed := time.Since(began)
	s.works()
	t.Logf("cancelled within %s; compiled code within %s", took.Round(time.Millisecond), killed.Round(time.Millisecond))
}

func pidText(pid int) string { b, _ := json.Marshal(pid); return string(b) }

// Time limits hold for compiled code too.
func TestATaskTakesTooLong(t *testing.T) {
	s := serve(t, two)
	began := time.Now()
	job := s.submit(`function(i) { if (i == 1) { m <- matrix(1, 2500, 2500); repeat m <- m %*% m }; if (i == 2) repeat Sys.sleep(0.01); i }`, 3, func(sub *api.Submission) {
		sub.Timeout = api.Duration(time.Second)
	})
	if got := s.states(job.ID); got["TIMEOUT"] != 2 || got["COMPLETE"] != 1 {
		t.Errorf("%v", got)
	}
	took := time.Since(began)
	s.works()
	t.Logf("both ended %s after their submission, with a limit of 1 s", took.Round(time.Millisecond))
}

// A task that takes more memory than it may says so.
func TestATaskTakesTooMuchMemory(t *testing.T) {
	s := serve(t, two)
	job := s.submit(`function() { x <- list(); repeat { x[[length(x) + 1]] <- rnorm(1e6); Sys.sleep(0.01) } }`, 0, func(sub *api.Submission) {
		sub.Memory = 300 << 20
		sub.Retry = &api.Retry{Lost: 1}
	})
	if got := s.states(job.ID); got["DIED"] != 1 {
		t.Fatalf("%v", got)
	}
	if task := s.task(job.ID + ".1"); task.Failure == nil || task.Failure.Cause != "out_of_memory" {
		t.Errorf("%+v", task.Failure)
	}
	s.works()
}

// An environment that does not load is the error of its tasks; the worker stays.
func TestAnEnvironmentDoesNotLoad(t *testing.T) {
	s := serve(t, two)
	if _, err := s.c.SetEnvironment(t.Context(), "broken", &api.Environment{Setup: `stop("no database here")`}); err != nil {
		t.Fatal(err)
	}
	job := s.submit(`function() 1`, 0, func(sub *api.Submission) { sub.Environment = "broken" })
	if got := s.states(job.ID); got["ERROR"] != 1 {
		t.Fatalf("%v", got)
	}
	task := s.task(job.ID + ".1")
	if task.Failure == nil || task.Failure.Cause != "start" || !strings.Contains(task.Failure.Message, "no database here") {
		t.Errorf("%+v", task.Failure)
	}
	s.works()
}

// The queue is full: whoever submits is told, and when to come again.
func TestTheQueueIsFull(t *testing.T) {
	s := serve(t, "workers: {none: true}\n")
	most := 10
	if _, err := s.c.SetQueue(t.Context(), "default", api.QueueSettings{MaxLength: &most}); err != nil {
		t.Fatal(err)
	}
	s.submit("function(i) i", 10, nil)
	_, err := s.c.Submit(t.Context(), &api.Submission{Fun: text("function() 1")})
	fault, ok := err.(*api.Fault)
	if !ok || fault.Status != 429 || fault.RetryAfter == 0 {
		t.Errorf("%v", err)
	}
}
