//go:build linux

package launch

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/slurmtest"
)

// TestSlurm runs a real Slurm on this machine: jobs are submitted as tasks come,
// connect, end when idle, and are removed in the end.
func TestSlurm(t *testing.T) {
	slurmtest.Start(t)
	dir := t.TempDir()
	demand := &Demand{Tasks: 2, Workers: map[string]struct{}{}}
	template := strings.Replace(Template("slurm"), "exec {{ command }}", `echo $SLURM_JOB_ID > {{ dir }}/up.$SLURM_JOB_ID; exec {{ command }}`, 1)
	l := launcher(t, Schedulers["slurm"], dir, demand, func(o *Options) {
		o.Template, o.Values = template, map[string]string{"command": "sleep 1000", "dir": dir, "memory": "10"}
	})
	step(t, l, 2)
	eventually(t, "both run", func() bool {
		up, _ := filepath.Glob(filepath.Join(dir, "up.*"))
		return len(up) == 2
	})
	for id := range l.jobs {
		demand.Workers[id] = struct{}{}
	}
	demand.Tasks = 1
	step(t, l, 2)
	var one string
	for one = range l.jobs {
	}
	if err := Schedulers["slurm"].remove(t.Context(), one); err != nil { // as if it had ended by itself
		t.Fatal(err)
	}
	eventually(t, "one is gone", func() bool {
		if err := l.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		return len(l.jobs) == 1
	})
	if l.failures != 0 {
		t.Errorf("%d failures: %v", l.failures, l.last)
	}
	l.removeAll(t.Context())
	eventually(t, "none is left", func() bool {
		out, err := exec.Command("squeue", "--noheader").CombinedOutput()
		return err == nil && strings.TrimSpace(string(out)) == ""
	})
}

// eventually waits for what other processes do: there is no event to wait for.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 600 {
		if done() {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}
