// Package taskcrash kills the task queue at named places and at random moments, and holds
// that nothing that was acknowledged is lost, and nothing runs that should not. It also
// has what the killed process and the test say to each other.
package taskcrash

import "github.com/rpipe-dev/rpipe/tasks"

// Failing is the code of jobs of which every seventh task fails until it is retried.
const Failing = "fail"

// Request is one line to the process.
type Request struct {
	Do         string   `json:"do"`
	Key        string   `json:"key,omitempty"`
	Code       string   `json:"code,omitempty"`
	N          int      `json:"n,omitempty"`
	After      []string `json:"after,omitempty"`
	MaxRunning int      `json:"max_running,omitempty"`
	Job        string   `json:"job,omitempty"`
}

// What can be done.
const (
	Submit = "submit"
	Retry  = "retry"
	Cancel = "cancel"
	Delete = "delete"
	Wait   = "wait"
	Count  = "count"
)

// Answer is one line from it; the first, empty one says that it is ready.
type Answer struct {
	Job    string                `json:"job,omitempty"`
	States map[tasks.State]int64 `json:"states,omitempty"`
	Error  string                `json:"error,omitempty"`
}
