package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the golden parts of the scripts again")

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "__guard" {
		os.Exit(Main())
	}
	testscript.Main(m, map[string]func(){"rpipe": func() { os.Exit(Main()) }})
}

// TestScript runs the files of testdata: each is a user's session.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			examples, err := filepath.Abs("../../configs/examples")
			if err != nil {
				return err
			}
			env.Setenv("EXAMPLES", examples)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TMPDIR", filepath.Join(env.WorkDir, ".tmp"))
			env.Setenv("RPIPE_TEST_WORK", env.WorkDir)
			return os.MkdirAll(filepath.Join(env.WorkDir, ".tmp"), 0o755)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":      exits,
			"leftovers":  leftovers,
			"signalled":  signalled,
			"eventually": eventually,
			"serving":    serving,
			"stopped":    stopped,
			"signal":     signalNow,
			"logged":     logged,
			"fetched":    fetched,
			"asking":     asking,
			"answered":   answered,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "tmpfs":
				return canMount(), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
	})
}

// exits CODE COMMAND ARGS...: the command ends with exactly this status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// leftovers: no R or guard of this script's is alive, and no temporary file is left.
func leftovers(ts *testscript.TestScript, neg bool, args []string) {
	work := ts.Getenv("RPIPE_TEST_WORK")
	var left []string
	for range 100 { // a process that has been reaped may still be listed for a moment
		if left = processes(work); len(left) == 0 {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if len(left) > 0 {
		ts.Fatalf("left behind:\n%s", strings.Join(left, "\n"))
	}
	files, err := os.ReadDir(filepath.Join(work, ".tmp"))
	ts.Check(err)
	for _, f := range files {
		ts.Fatalf("left in the temporary directory: %s", f.Name())
	}
}

// processes are those whose environment says that they belong to a script's directory.
func processes(work string) []string {
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	var found []string
	for _, e := range entries {
		env, err := os.ReadFile(e)
		if err != nil || !strings.Contains(string(env), "RPIPE_TEST_WORK="+work+"\x00") {
			continue
		}
		dir := filepath.Dir(e)
		status, _ := os.ReadFile(filepath.Join(dir, "stat"))
		if strings.Contains(string(status), ") Z ") {
			continue
		}
		cmd, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(cmd), "\x00", " "))
	}
	return found
}

// signalled CODE SIGNAL FILE COMMAND...: the command is sent the signal once
// FILE exists, and ends with this status.
func signalled(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: signalled code signal file command...")
	}
	script := fmt.Sprintf(`"$@" & p=$!; while [ ! -e %q ]; do sleep 0.05; done; kill -%s $p; wait $p`, ts.MkAbs(args[2]), args[1])
	exits(ts, false, append([]string{args[0], "sh", "-c", script, "sh"}, args[3:]...))
}

// eventually FILE: the file comes to be within ten seconds.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	for range 200 {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
	ts.Fatalf("%s did not come to be", args[0])
}

// canMount reports whether a small file system can be mounted, to fill it.
func canMount() bool {
	return exec.Command("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt").Run() == nil
}
