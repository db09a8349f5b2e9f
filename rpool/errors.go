package rpool

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrQueueFull says that more requests wait than Options.QueueLength allows.
var ErrQueueFull = errors.New("rpool: queue is full")

// ErrQueueWait says that no worker was free within Options.QueueWait.
var ErrQueueWait = errors.New("rpool: no worker free in time")

// ErrClosed says that the pool has been closed or drains.
var ErrClosed = errors.New("rpool: closed")

// ConditionError is an R condition of class error that the request's code signalled.
type ConditionError struct {
	Classes   []string // class(cond)
	Message   string
	Call      string   // deparsed, one line; "" for none
	Traceback []string // innermost last, deparsed calls of user code
	Warnings  []string
	Output    string
	User      time.Duration // of a Task
	System    time.Duration
}

func (e *ConditionError) Error() string {
	if e.Call == "" {
		return "R error: " + e.Message
	}
	return fmt.Sprintf("R error in %s: %s", e.Call, e.Message)
}

// Exception is the condition's class, its message, and R's traceback.
func (e *ConditionError) Exception() (class, message, stack string) {
	if len(e.Classes) > 0 {
		class = e.Classes[0]
	}
	return class, e.Message, strings.Join(e.Traceback, "\n")
}

// DiedError says that the worker's process ended before it answered.
type DiedError struct {
	Pid         int
	Signal      string // "SIGKILL"; "" when it exited
	ExitStatus  int    // -1 where it could not be had
	OutOfMemory bool   // RSS over the limit, or the cgroup's OOM counter rose
	OverCPU     bool   // over Request.CPU
	RSS         int64  // last seen
	Stderr      string // last lines
}

func (e *DiedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "R worker %d ", e.Pid)
	switch {
	case e.OutOfMemory:
		fmt.Fprintf(&b, "was out of memory (%d MiB)", e.RSS>>20)
	case e.OverCPU:
		b.WriteString("was over its limit of processor time")
	case e.Signal != "":
		fmt.Fprintf(&b, "was killed by %s", e.Signal)
	case e.ExitStatus < 0:
		b.WriteString("has gone, nobody knows how")
	default:
		fmt.Fprintf(&b, "exited with status %d", e.ExitStatus)
	}
	if s := strings.TrimSpace(e.Stderr); s != "" {
		b.WriteString("; its last output: ")
		b.WriteString(s)
	}
	return b.String()
}

// TimeoutError says that a request ran longer than its Timeout and was stopped.
type TimeoutError struct {
	After time.Duration
	Step  string // how it was stopped: SIGINT, SIGTERM or SIGKILL
}

func (e *TimeoutError) Error() string {
	return fmt.Sprintf("R code ran longer than %v (stopped by %s)", e.After, e.Step)
}

// StartError says that an environment could not be brought up: R is missing or
// too old, a package is not installed, a source file fails.
type StartError struct {
	Step   string // "find R", "package", "source", "setup", "canary", "fork", "hello"
	What   string // the package or file
	Err    error
	Stderr string // the template's last lines
	Hint   string // how to mend it
}

func (e *StartError) Error() string {
	var b strings.Builder
	b.WriteString("R: " + e.Step)
	if e.What != "" {
		b.WriteString(" " + e.What)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if s := strings.TrimSpace(e.Stderr); s != "" {
		b.WriteString("\n" + s)
	}
	if e.Hint != "" {
		b.WriteString("\n" + e.Hint)
	}
	return b.String()
}

func (e *StartError) Unwrap() error { return e.Err }
