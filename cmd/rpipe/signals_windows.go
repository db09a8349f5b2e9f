package main

import (
	"os"
	"syscall"
)

var serviceSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
