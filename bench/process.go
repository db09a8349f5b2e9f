//go:build unix

package bench

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// Process is what one took.
type Process struct {
	Took time.Duration
	CPU  time.Duration // of all cores
	Peak float64       // bytes resident at most
}

// Execute runs a program to its end.
func Execute(program string, args ...string) (Process, error) {
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return Process{}, fmt.Errorf("%s: %w: %s", program, err, output.String())
	}
	state := cmd.ProcessState
	peak := float64(state.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // where it is in bytes
		peak *= 1024
	}
	return Process{took, state.UserTime() + state.SystemTime(), peak}, nil
}
