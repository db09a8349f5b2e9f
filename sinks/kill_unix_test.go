//go:build unix

package sinks

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/stages"
)

// A process that is killed in the middle leaves hidden files and a lock that is
// nobody's; the next run clears both away.
func TestKilledRun(t *testing.T) {
	const mark = "RPIPE_TEST_KILL"
	if dir := os.Getenv(mark); dir != "" {
		w := open(t, &Parquet{Path: "out", RowGroup: RowGroup{Rows: 100}}, &stages.Env{Run: "killed", Dir: dir})
		if err := w.Write(t.Context(), rows(0, 0, 1000)); err != nil {
			t.Fatal(err)
		}
		fmt.Println("\nwriting")
		io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is gone
	}
	env := testEnv(t, "run-2")
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), mark+"="+env.Dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "writing"; {
	}
	sink := &Parquet{Path: "out"}
	if _, err := sink.Open(t.Context(), env); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), fmt.Sprintf("run killed, pid %d ", cmd.Process.Pid)) {
		t.Errorf("while it runs: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	dir := filepath.Join(env.Dir, "out")
	if left := tree(t, dir); len(left) != 2 || len(visible(t, dir)) > 0 {
		t.Errorf("it left %v", left)
	}
	parts := commit(t, sink, env, rows(0, 0, 10))
	if d := cmp.Diff([]string{"_manifest.json", parts[0].Path}, tree(t, dir)); d != "" {
		t.Error(d)
	}
}
