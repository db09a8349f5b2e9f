//go:build unix

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// causes of the past attempts of a task.
func causes(t *tasks.Task) string {
	var all []string
	for _, a := range t.Past {
		all = append(all, a.Cause)
	}
	return strings.Join(all, " ")
}

const die = "tools::pskill(Sys.getpid(), 9); Sys.sleep(60)"

func TestDeathsOfR(t *testing.T) {
	w := newWorld(t, broker.Options{})
	w.worker(Options{})
	soon := tasks.Retry{Delay: time.Millisecond}

	poison := w.await(w.submit(tasks.Job{Call: expr(die), Retry: soon}), 1, tasks.Died)
	if causes(poison) != "signal signal signal" || poison.Attempt != 3 || poison.Lost != 3 || !strings.Contains(poison.Failure.Message, "SIGKILL") {
		t.Errorf("%s: %+v, %+v", causes(poison), poison, poison.Failure)
	}
	flag := filepath.Join(t.TempDir(), "flag")
	once := fmt.Sprintf("if (!file.exists(%q)) { file.create(%[1]q); quit('no', 7) }; 'second'", flag)
	done := w.await(w.submit(tasks.Job{Call: expr(once), Retry: soon}), 1, tasks.Complete)
	if causes(done) != "exit done" || !strings.Contains(done.Past[0].Message, "status 7") || done.Past[0].Pid == done.Past[1].Pid {
		t.Errorf("%s: %+v", causes(done), done.Past)
	}
	// An isolated one takes only itself along.
	iso := w.await(w.submit(tasks.Job{Call: expr(die), Isolate: true, Retry: tasks.Retry{Lost: 1}}), 1, tasks.Died)
	if causes(iso) != "signal" {
		t.Errorf("%s", causes(iso))
	}
	iso = w.await(w.submit(tasks.Job{Call: expr("cat('heard\\n'); Sys.getpid() + 0"), Isolate: true}), 1, tasks.Complete)
	if got := w.shown(iso); got != fmt.Sprint(float64(iso.Past[0].Pid)) {
		t.Errorf("pid %s, and recorded %d", got, iso.Past[0].Pid)
	}
	// What R says is an error of R's.
	failed := w.await(w.submit(tasks.Job{Call: expr("stop('always')"), Retry: tasks.Retry{Errors: 3, Delay: time.Millisecond}}), 1, tasks.Error)
	if causes(failed) != "error error error" || failed.Errors != 3 {
		t.Errorf("%s", causes(failed))
	}
	not := w.await(w.submit(tasks.Job{Call: expr("stop('always')"), Retry: tasks.Retry{Errors: 3, Classes: []string{"other"}}}), 1, tasks.Error)
	if causes(not) != "error" {
		t.Errorf("%s", causes(not))
	}
}

func TestTimeoutsAndLimits(t *testing.T) {
	w := newWorld(t, broker.Options{})
	o := Options{}
	o.Limits.CheckInterval = 100 * time.Millisecond
	w.worker(o)
	f := func(j tasks.Job, s tasks.State, want string) *tasks.Task {
		t.Helper()
		j.Retry.Delay, j.Retry.Lost = time.Millisecond, 1
		got := w.await(w.submit(j), 1, s)
		if causes(got) != want || got.Failure.Cause != got.Past[0].Cause {
			t.Errorf("%s, want %s: %+v", causes(got), want, got.Failure)
		}
		return got
	}
	f(tasks.Job{Call: expr("Sys.sleep(60)"), Timeout: 200 * time.Millisecond}, tasks.Timeout, "timeout")
	f(tasks.Job{Call: expr("Sys.sleep(60)"), Timeout: 100 * time.Millisecond, Retry: tasks.Retry{Timeouts: 2}}, tasks.Timeout, "timeout timeout")
	compiled := "system('sleep 60')" // which does not listen to interrupts
	f(tasks.Job{Call: expr(compiled), Timeout: 300 * time.Millisecond}, tasks.Timeout, "timeout")
	f(tasks.Job{Call: expr("x <- 0; repeat x <- x + 1"), CPU: 300 * time.Millisecond}, tasks.Died, "cpu_limit")
	got := f(tasks.Job{Call: expr("x <- numeric(6e7) + 1; Sys.sleep(60)"), Memory: 300 << 20}, tasks.Died, "out_of_memory")
	if got.Usage.PeakRSS < 300<<20 {
		t.Errorf("%+v", got.Usage)
	}
	w.await(w.submit(tasks.Job{Call: expr("1"), Timeout: time.Minute, Memory: 1 << 30, CPU: time.Minute}), 1, tasks.Complete)
}

func TestCancel(t *testing.T) {
	w := newWorld(t, broker.Options{AckWait: 3 * time.Second})
	n := w.worker(Options{ID: "one"})
	f := func(j tasks.Job) {
		t.Helper()
		mark := filepath.Join(t.TempDir(), "mark")
		j.Call = expr(fmt.Sprintf("file.create(%q); ", mark) + string(j.Call.Code.Data))
		job := w.submit(j)
		w.until("R has it", func() bool { _, err := os.Stat(mark); return err == nil && len(n.Info().Tasks) == 1 })
		w.cancel(job, 1)
		start := time.Now()
		w.until("the worker is free", func() bool { return n.Info().Busy == 0 })
		t.Logf("free after %v", time.Since(start))
		if got := w.task(job, 1); got.State != tasks.Cancelled || causes(got) != "cancelled" {
			t.Errorf("%s %s", got.State, causes(got))
		}
	}
	f(tasks.Job{Call: expr("Sys.sleep(60)")})
	f(tasks.Job{Call: expr("system('sleep 60')")}) // which does not listen to interrupts
	f(tasks.Job{Call: expr("Sys.sleep(60)"), Isolate: true})
	// Where the message gets lost the record says it.
	job := w.submit(tasks.Job{Call: expr("Sys.sleep(60)")})
	running := w.await(job, 1, tasks.Running)
	if err := running.Cancel("ann", time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.b.Write(t.Context(), broker.Write{Subject: tasks.TaskSubject(job.ID, 1), Data: w.json(running), Expect: running.Rev}); err != nil {
		t.Fatal(err)
	}
	w.until("the worker is free", func() bool { return n.Info().Busy == 0 })
	w.await(w.submit(tasks.Job{Call: expr("1")}), 1, tasks.Complete)
	w.until("no message is left", func() bool {
		q, err := w.b.Queued(t.Context(), tasks.DefaultQueue)
		return err == nil && q == 0
	})
}

// A worker that is killed: another one runs its task after the lease.
func TestWorkerIsKilled(t *testing.T) {
	w, join := clustered(t, broker.Options{AckWait: 2 * time.Second})
	dir := t.TempDir()
	first := w.elsewhere(join, "first", 1)
	code := fmt.Sprintf("cat(Sys.getpid(), '\\n'); file.create(tempfile('run', %q)); while (!file.exists(%q)) Sys.sleep(0.02); Sys.getenv('RPIPE_ATTEMPT')", dir, filepath.Join(dir, "go"))
	job := w.submit(tasks.Job{Call: expr(code), Retry: tasks.Retry{Delay: time.Millisecond}})
	runs := func() int {
		found, _ := filepath.Glob(filepath.Join(dir, "run*"))
		return len(found)
	}
	w.until("it runs", func() bool { return runs() == 1 })
	w.elsewhere(join, "second", 1)
	held := time.Now()
	w.until("longer than a lease has passed", func() bool { return time.Since(held) > 2500*time.Millisecond })
	if now := w.task(job, 1); now.Attempt != 1 || now.Lease.Worker != "first" {
		t.Fatalf("its lease was not renewed: %+v", now)
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	w.until("it runs again", func() bool { return runs() == 2 })
	t.Logf("again after %v", time.Since(killed))
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := w.await(job, 1, tasks.Complete)
	if causes(done) != "host_lost done" || done.Past[1].Worker != "second" || w.shown(done) != "2" {
		t.Errorf("%s %+v", causes(done), done.Past)
	}
	if lines, _ := w.told(job, 1); len(lines) != 2 {
		t.Errorf("the log has not what both attempts have said: %q", lines)
	}
}

// A worker that is stopped and wakes up when its task is somebody else's.
func TestWorkerIsPausedAndWakesUp(t *testing.T) {
	w, join := clustered(t, broker.Options{AckWait: 2 * time.Second})
	dir := t.TempDir()
	first := w.elsewhere(join, "first", 1)
	// The first run is done as soon as it may; its process group is stopped meanwhile
	code := fmt.Sprintf("f <- tempfile('run', %q); file.create(f); while (!file.exists(%q)) Sys.sleep(0.02); Sys.getenv('RPIPE_WORKER_ID')", dir, filepath.Join(dir, "go"))
	job := w.submit(tasks.Job{Call: expr(code), Retry: tasks.Retry{Delay: time.Millisecond}})
	runs := func() int {
		found, _ := filepath.Glob(filepath.Join(dir, "run*"))
		return len(found)
	}
	w.until("it runs", func() bool { return runs() == 1 })
	if err := first.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.elsewhere(join, "second", 1)
	w.until("it runs elsewhere", func() bool { return runs() == 2 })
	// Now both may end. The first worker's R does at once; the worker hears of it later.
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	done := w.await(job, 1, tasks.Complete)
	if err := first.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	// It goes on with other things, and has changed nothing.
	w.until("the first is there again", func() bool {
		there, err := w.b.Present(t.Context(), tasks.WorkerKey("first"))
		return err == nil && len(there) == 1
	})
	all := w.submit(tasks.Job{Call: r("function(x) { Sys.sleep(0.1); Sys.getenv('RPIPE_WORKER_ID') }")}, number64(1), number64(2), number64(3), number64(4), number64(5), number64(6))
	w.end(all)
	by := map[string]bool{}
	for k := range 6 {
		by[w.shown(w.task(all, k+1))] = true
	}
	if !by["first"] || !by["second"] {
		t.Errorf("who works: %v", by)
	}
	if again := w.task(job, 1); again.Rev != done.Rev || w.shown(again) != "second" || causes(again) != "host_lost done" {
		t.Errorf("%s %+v", causes(again), again)
	}
}

// Workers that die at random lose nothing, and run nothing to its end twice.
func TestManyKills(t *testing.T) {
	w, join := clustered(t, broker.Options{AckWait: 2 * time.Second})
	elements := make([][]byte, 300)
	for i := range elements {
		elements[i] = number64(float64(i))
	}
	start := func(i int) (kill func()) {
		c := w.elsewhere(join, fmt.Sprint("w", i), 1)
		return func() { _ = c.Process.Kill() }
	}
	kills := []func(){start(0), start(1)}
	job := w.submit(tasks.Job{Call: r("function(x) { Sys.sleep(0.005); x }"), Retry: tasks.Retry{Lost: 10, Delay: time.Millisecond}}, elements...)
	for i := range 2 {
		before := i * 60
		w.until("some are done", func() bool { return w.count(job, tasks.Complete) > before+20 })
		kills[i]()
		kills = append(kills, start(i+2))
	}
	if states := w.end(job); states[tasks.Complete] != len(elements) {
		t.Errorf("%v", states)
	}
	for k := range elements {
		if got := w.shown(w.task(job, k+1)); got != fmt.Sprint(k) {
			t.Errorf("task %d: %s", k+1, got)
		}
	}
}

func (w *world) count(j *tasks.Job, s tasks.State) (n int) {
	for k := 1; k <= j.N; k++ {
		if w.task(j, k).State == s {
			n++
		}
	}
	return n
}
