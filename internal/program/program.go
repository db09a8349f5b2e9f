// Package program builds rpipe for tests that run it as users do.
package program

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Path is the program that Main has built.
var Path string

// Main builds rpipe with flags of go build, runs the tests, and ends the process: it is
// all of a TestMain.
func Main(m *testing.M, flags ...string) { os.Exit(run(m, flags)) }

func run(m *testing.M, flags []string) int {
	dir, err := os.MkdirTemp("", "rpipe-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	Path = filepath.Join(dir, "rpipe")
	args := append([]string{"build", "-o", Path}, flags...)
	build := exec.Command("go", append(args, "github.com/rpipe-dev/rpipe/cmd/rpipe")...)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "build rpipe: %v\n", err)
		return 1
	}
	return m.Run()
}

// FreeAddr is an address that nobody listens on.
func FreeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Pause waits, and reports whether ctx has not ended meanwhile. It is for the instants of
// a load in real time, not for the effect of anything.
func Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
