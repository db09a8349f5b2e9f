//go:build unix

package main

import (
	"os"
	"syscall"
)

var serviceSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}
