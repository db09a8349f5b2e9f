//go:build linux

package faults

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/slurmtest"
)

// Workers come as jobs of a real Slurm when there are tasks, and end when there are none;
// one whose job is removed in the middle gives its task back.
func TestSlurmRunsTheWorkers(t *testing.T) {
	slurmtest.Start(t) // not parallel: it sets an environment variable
	s := open(t, "workers: {none: true}\n")
	s.run("worker", "--join", "join", "--launch", "slurm", "--jobs", "2", "--idle-timeout", "2s", "--grace", "1s", "--set", "memory=10", "--dir", "jobs")
	job := s.submit(`function(i) Sys.getenv("SLURM_JOB_ID")`, 4, nil)
	s.complete(job)
	if got := s.value(job, 1); got == `""` {
		t.Error("the task was not run by a job of Slurm")
	}
	none := func() bool {
		out, err := exec.Command("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING").CombinedOutput()
		return err == nil && strings.TrimSpace(string(out)) == ""
	}
	s.until("the idle workers have ended", none)

	long := s.submit(`function() { first <- !file.exists(`+s.path("once")+`); file.create(`+s.path("once")+`); `+s.touch("pid")+`; if (first) Sys.sleep(60); "done" }`, 0, nil)
	s.running(long.ID, "pid")
	if out, err := exec.Command("sh", "-c", "scancel --signal=TERM --full $(squeue --noheader --states=RUNNING --format=%i)").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.complete(long)
	task := s.task(long.ID + ".1")
	if len(task.Past) == 0 || task.Past[0].Cause != "worker_stopped" {
		t.Errorf("attempts %+v", task.Past)
	}
	s.until("the workers have ended", none)
}
