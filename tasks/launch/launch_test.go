package launch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site is a scheduler made of shell scripts: jobs are files in a directory, whose
// content is their state.
func site(t *testing.T, s *Scheduler, submit, list, remove string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, script := range map[string]string{s.Submit[0]: submit, s.List[0]: list, s.Remove[0]: remove} {
		text := "#!/bin/sh\ncd " + dir + "\n" + script + "\n"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

const countUp = `n=$(($(cat n 2>/dev/null || echo 100)+1)); echo $n > n; `

func slurm(t *testing.T) (*Scheduler, string) {
	s := Schedulers["slurm"]
	return s, site(t, s, countUp+`echo PENDING > job.$n; cp "$2" script; echo $n`,
		`for f in job.*; do test -e $f && echo "${f#job.} $(cat $f)"; done; true`, `for id; do rm job.$id; done`)
}

func launcher(t *testing.T, s *Scheduler, dir string, demand *Demand, change func(*Options)) *Launcher {
	t.Helper()
	o := Options{
		Scheduler: s, Template: Template(s.Name), Max: 3, Dir: dir,
		Values: map[string]string{"command": "rpipe worker"},
		Demand: func(context.Context) (Demand, error) { return *demand, nil },
	}
	if change != nil {
		change(&o)
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func step(t *testing.T, l *Launcher, jobs int) {
	t.Helper()
	if err := l.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.jobs) != jobs {
		t.Fatalf("%d jobs, want %d", len(l.jobs), jobs)
	}
}

func set(t *testing.T, dir, id, state string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "job."+id), []byte(state), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestJobsFollowTheQueue(t *testing.T) {
	s, dir := slurm(t)
	demand := &Demand{}
	l := launcher(t, s, dir, demand, func(o *Options) { o.Slots = 2 })
	step(t, l, 0)
	demand.Tasks = 1
	step(t, l, 1)
	step(t, l, 1) // it waits: no second one for the same task
	demand.Tasks = 3
	step(t, l, 2)
	demand.Tasks = 100
	step(t, l, 3) // Max
	script, err := os.ReadFile(filepath.Join(dir, "script"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"#SBATCH --job-name=rpipe-", "--cpus-per-task=1", "exec rpipe worker"} {
		if !strings.Contains(string(script), want) {
			t.Errorf("no %q in\n%s", want, script)
		}
	}
	set(t, dir, "101", "RUNNING")
	demand.Workers = map[string]struct{}{"101": {}}
	demand.Tasks = 0
	step(t, l, 3)
	os.Remove(filepath.Join(dir, "job.101")) // it was idle, and has ended
	demand.Workers = nil
	step(t, l, 2)
	set(t, dir, "102", "COMPLETED")
	step(t, l, 1)
	l.removeAll(t.Context())
	if left, _ := filepath.Glob(filepath.Join(dir, "job.103")); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// TestCommandsThatHang: one that its time has ended is not waited for, nor what it has started.
func TestCommandsThatHang(t *testing.T) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := command(ctx, []string{"sh", "-c", "sleep 20; true"}); err == nil {
		t.Error("it has ended well")
	}
	if out, err := command(t.Context(), []string{"sh", "-c", "sleep 20 & echo 101"}); err != nil || out != "101\n" {
		t.Errorf("%q, %v", out, err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestAtLeastMin(t *testing.T) {
	s, dir := slurm(t)
	step(t, launcher(t, s, dir, &Demand{}, func(o *Options) { o.Min = 2 }), 2)
}

// What costs money and does nothing is not repeated for ever.
func TestJobsThatComeToNothing(t *testing.T) {
	s, dir := slurm(t)
	l := launcher(t, s, dir, &Demand{Tasks: 1}, nil)
	for id := 101; id < 104; id++ {
		step(t, l, 1)
		for _, j := range l.jobs {
			if err := os.WriteFile(j.log, []byte("no such server\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		set(t, dir, fmt.Sprint(id), "FAILED")
	}
	err := l.Step(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no such server") || !strings.Contains(err.Error(), "last 3 jobs") {
		t.Errorf("%v", err)
	}
}

// One that finds nothing to do is there for less than the time between two looks.
func TestAWorkerThatEndsAtOnce(t *testing.T) {
	s, dir := slurm(t)
	demand := &Demand{Tasks: 1}
	l := launcher(t, s, dir, demand, nil)
	for id := 101; id < 101+2*maxFailures; id++ {
		step(t, l, 1)
		set(t, dir, fmt.Sprint(id), "COMPLETED")
		demand.Workers = map[string]struct{}{fmt.Sprint(id): {}}
	}
	if l.failures != 0 {
		t.Errorf("%d failures", l.failures)
	}
}

// A worker that connects while the scheduler is asked is no failure of its job.
func TestTheSchedulerIsAskedFirst(t *testing.T) {
	s, dir := slurm(t)
	var l *Launcher
	l = launcher(t, s, dir, nil, func(o *Options) {
		o.Demand = func(context.Context) (Demand, error) {
			d := Demand{Tasks: 1, Workers: map[string]struct{}{}}
			for id := range l.jobs { // it connects, and ends
				d.Workers[id] = struct{}{}
				set(t, dir, id, "COMPLETED")
			}
			return d, nil
		}
	})
	for range 2 * maxFailures {
		step(t, l, 1)
	}
	if l.failures != 0 {
		t.Errorf("%d failures", l.failures)
	}
}

func TestAWorkerThatDoesNotConnect(t *testing.T) {
	s, dir := slurm(t)
	l := launcher(t, s, dir, &Demand{Tasks: 1}, nil)
	now := time.Now()
	l.now = func() time.Time { return now }
	step(t, l, 1)
	set(t, dir, "101", "RUNNING")
	step(t, l, 1)
	now = now.Add(3 * time.Minute)
	step(t, l, 1) // another one
	if _, err := os.Stat(filepath.Join(dir, "job.101")); err == nil {
		t.Error("the job is not removed")
	}
	if _, other := l.jobs["102"]; !other || l.failures != 1 {
		t.Errorf("jobs %v, %d failures", l.jobs, l.failures)
	}
}

func TestSomethingDoesNotAnswer(t *testing.T) {
	s, dir := slurm(t)
	demand := &Demand{Tasks: 1}
	down := errors.New("down")
	l := launcher(t, s, dir, demand, func(o *Options) {
		o.Demand = func(context.Context) (Demand, error) { return *demand, down }
	})
	step(t, l, 0)
	down = nil
	step(t, l, 1)
	if err := os.WriteFile(filepath.Join(dir, "squeue"), []byte("#!/bin/sh\necho 'no slurmctld' >&2; exit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	demand.Tasks = 3
	step(t, l, 1) // nobody knows what is there: nothing is added
	if l.failures != 0 {
		t.Errorf("%d failures", l.failures)
	}
}

// A launcher that is told to end while it asks ends in silence.
func TestItEndsAsItAsks(t *testing.T) {
	s, dir := slurm(t)
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	l := launcher(t, s, dir, nil, func(o *Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Demand = func(ctx context.Context) (Demand, error) { cancel(); return Demand{}, ctx.Err() }
	})
	if err := l.Run(ctx); err != nil || log.Len() > 0 {
		t.Errorf("%v, and it says %s", err, &log)
	}
}

func TestOtherSchedulers(t *testing.T) {
	f := func(name, submit, list string, waits, runs, none string) {
		t.Helper()
		s := Schedulers[name]
		dir := site(t, s, submit, list, "rm job.$1")
		l := launcher(t, s, dir, &Demand{Tasks: 1}, nil)
		step(t, l, 1)
		var id string
		for id = range l.jobs {
		}
		for text, want := range map[string]state{waits: waiting, runs: running, none: gone} {
			if err := os.WriteFile(filepath.Join(dir, "list"), []byte(strings.ReplaceAll(text, "ID", id)), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := s.states(t.Context(), []string{id})
			if err != nil || got[id] != want {
				t.Errorf("%s: %q is state %d, want %d; %v", name, text, got[id], want, err)
			}
		}
		l.removeAll(t.Context())
	}
	const sge = "job-ID prior name user state submit/start at queue slots\n---\n"
	f("sge", countUp+"echo PENDING > job.$n; echo $n", "cat list",
		sge+"  ID 0.5 rpipe-1-1 ana qw 11/22/2026 07:00:00 1\n", sge+"  ID 0.5 rpipe-1-1 ana r 11/22/2026 07:00:00 all.q@a 1\n", "")
	const pbs = "Job id            Name             User              Time Use S Queue\n---- ---- ---- ---- - ----\n"
	f("pbs", countUp+"echo PENDING > job.$n; echo $n.head.example.org", "cat list",
		pbs+"ID.head.exam rpipe-1-1 ana 0 Q batch\n", pbs+"ID.head.exam rpipe-1-1 ana 00:00:01 R batch\n", pbs+"ID.head.exam rpipe-1-1 ana 00:00:01 C batch\n")
}

func TestFill(t *testing.T) {
	values := map[string]string{"command": "rpipe worker", "cores": "4"}
	f := func(template, want, message string) {
		t.Helper()
		got, err := Fill(template, values)
		if message != "" {
			if err == nil || !strings.Contains(err.Error(), message) {
				t.Errorf("%q: %v, want %q", template, err, message)
			}
			return
		}
		if err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", template, got, err, want)
		}
	}
	f("{{ command }} {{cores}} {{ memory | 4G }} ${HOME}", "rpipe worker 4 4G ${HOME}", "")
	f("{{ command }}{{ account | }}", "rpipe worker", "")
	f("{{ command }} {{ account }}", "", "{{ account }}, which has no value")
	f("sleep 1", "", "no {{ command }}")
}

func TestOptionsThatCannotWork(t *testing.T) {
	ok := Options{Scheduler: Schedulers["slurm"], Template: "{{ command }}", Values: map[string]string{"command": "x"}, Max: 1}
	f := func(message string, change func(*Options)) {
		t.Helper()
		o := ok
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%v, want %q", err, message)
		}
	}
	f("no scheduler", func(o *Options) { o.Scheduler = nil })
	f("at most 0", func(o *Options) { o.Max = 0 })
	f("at least 2", func(o *Options) { o.Min = 2 })
	f("which has no value", func(o *Options) { o.Template = "{{ x }}" })
}

// TestJobID: a worker knows its job by the id that submitting it has given.
func TestJobID(t *testing.T) {
	f := func(want string, env ...string) {
		t.Helper()
		for _, s := range Schedulers {
			t.Setenv(s.JobVar, "")
		}
		for i := 0; i < len(env); i += 2 {
			t.Setenv(env[i], env[i+1])
		}
		for range 20 {
			if got := JobID(); got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		}
	}
	f("")
	f("7", "SLURM_JOB_ID", "7", "JOB_ID", "9")
	f("9", "JOB_ID", "9")
	f("12", "PBS_JOBID", "12.head.example.org")
	f("", "JOB_ID", "build")
}

// TestSchedulerRestarts: one that takes nothing for now is asked again, less and less
// often, and is no reason to give up.
func TestSchedulerRestarts(t *testing.T) {
	s, dir := slurm(t)
	l := launcher(t, s, dir, &Demand{Tasks: 1}, nil)
	now := time.Now()
	l.now = func() time.Time { return now }
	sbatch := filepath.Join(dir, s.Submit[0])
	works, err := os.ReadFile(sbatch)
	if err != nil {
		t.Fatal(err)
	}
	refuse := func() int {
		t.Helper()
		tries, _ := os.ReadFile(filepath.Join(dir, "tries"))
		return len(tries)
	}
	if err := os.WriteFile(sbatch, []byte("#!/bin/sh\nprintf x >> "+dir+"/tries\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for end := now.Add(30 * time.Minute); now.Before(end); now = now.Add(l.o.Every) {
		step(t, l, 0)
	}
	if n := refuse(); n < 6 || n > 15 {
		t.Errorf("%d tries in half an hour", n)
	}
	if err := os.WriteFile(sbatch, works, 0o755); err != nil {
		t.Fatal(err)
	}
	now = now.Add(maxPause)
	step(t, l, 1)
	if l.pause != 0 {
		t.Errorf("it rests for %s after a success", l.pause)
	}
}
