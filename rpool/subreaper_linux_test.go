package rpool

import (
	"os/exec"
	"testing"
)

// A process that left the worker's group and whose parent has ended comes to us.
// It is reaped, and a child that os/exec waits for is not.
func TestStrangersAreReaped(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	ours := exec.Command("true")
	if err := ours.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "our own child has ended", func() bool { _, zombie := ended(ours.Process.Pid); return zombie })
	printed(t, p, `system("(setsid sh -c 'echo $$ > $TMPDIR/pid; exec true' &)")`)
	eventually(t, "the stranger is reaped", func() bool {
		for _, pid := range children() {
			if _, zombie := ended(pid); zombie && pid != ours.Process.Pid {
				return false
			}
		}
		return exists(p.dir + "/tmp/pid")
	})
	if err := ours.Wait(); err != nil {
		t.Errorf("the status of our own child: %v", err)
	}
}
