//go:build unix

package sinks

import "testing"

func TestDeadOwner(t *testing.T) {
	f := func(name string, o owner, want bool) {
		t.Helper()
		if machine() == "" {
			want = false // nothing is known
		}
		if o.dead() != want {
			t.Errorf("%s: dead is %v", name, o.dead())
		}
	}
	f("a process that has ended", owner{Machine: machine(), Pid: deadPid(t)}, true)
	f("this process", owner{Machine: machine(), Pid: newOwner(testEnv(t, "run-1")).Pid}, false)
	f("a process of another machine or container", owner{Machine: "other", Pid: deadPid(t)}, false)
	f("a record that says nothing", owner{}, false)
}
