//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// process is what one took.
type process struct {
	took time.Duration
	peak float64 // bytes resident at most
}

// execute runs a program to its end.
func execute(program string, args ...string) (process, error) {
	var output bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return process{}, fmt.Errorf("%s: %w: %s", program, err, output.String())
	}
	peak := float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	if runtime.GOOS != "darwin" { // where it is in bytes
		peak *= 1024
	}
	return process{took, peak}, nil
}

func versionOf(module string) (string, error) {
	out, err := exec.Command(*python, "-c", fmt.Sprintf("import %s; print(%[1]s.__version__)", module)).Output()
	if err != nil {
		return "", fmt.Errorf("%s cannot import it", *python)
	}
	return strings.TrimSpace(string(out)), nil
}
