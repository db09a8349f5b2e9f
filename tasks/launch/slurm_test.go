//go:build linux

package launch

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSlurm runs a real Slurm on this machine: jobs are submitted as tasks come,
// connect, end when idle, and are removed in the end.
func TestSlurm(t *testing.T) {
	startSlurm(t)
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

// startSlurm is a cluster of this machine alone, without munge, that ends with the test.
func startSlurm(t *testing.T) {
	t.Helper()
	for _, name := range []string{"slurmctld", "slurmd", "sbatch"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("Slurm is not installed (%s)", name)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "slurm.conf")
	text := fmt.Sprintf(`ClusterName=t
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%d
SlurmdPort=%d
AuthType=auth/none
CredType=cred/none
SlurmUser=%[3]s
SlurmdUser=%[3]s
StateSaveLocation=%[4]s/state
SlurmdSpoolDir=%[4]s/spool
SlurmctldPidFile=%[4]s/slurmctld.pid
SlurmdPidFile=%[4]s/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_res
SelectTypeParameters=CR_Core
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=8 RealMemory=1000
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`, freePort(t), freePort(t), me.Username, dir)
	for _, name := range []string{"state", "spool"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLURM_CONF", conf)
	daemon := func(args ...string) {
		t.Helper()
		c := exec.Command(args[0], args[1:]...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = c.Process.Signal(os.Interrupt)
			_ = c.Wait()
		})
	}
	daemon("slurmctld", "-D", "-f", conf)
	daemon("slurmd", "-D", "-N", "localhost", "-f", conf)
	eventually(t, "Slurm is up", func() bool {
		out, err := exec.Command("sinfo", "--noheader", "--format=%T").Output()
		return err == nil && strings.TrimSpace(string(out)) == "idle"
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
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
