package tasks

import "time"

// Told is one message in the log of a task, in JSON: lines that an attempt has printed,
// in their order, or the last that it has told of its progress, or both. The progress of
// a task is the last Progress in its log.
type Told struct {
	Attempt  int        `json:"attempt,omitempty"`
	Lines    []ToldLine `json:"lines,omitempty"`
	Progress *Value     `json:"progress,omitempty"` // any R value
	At       time.Time  `json:"at,omitzero"`        // when Progress was told
}

// ToldLine is a line, or a message or warning of several.
type ToldLine struct {
	Time   time.Time `json:"t"`
	Stream string    `json:"s"` // stdout, message or warning; of a worker's own log an event such as TASK_START
	Text   string    `json:"l"`
}

// WorkerLog is where the log of a worker is, as that of task 1 of such a job.
func WorkerLog(worker string) (job string, n int) { return "worker-" + worker, 1 }

// Message is what a worker is asked, in JSON, at MessageSubject.
type Message struct {
	// Type is ping, echo, info, load, pause, resume, refresh, stop, queues, eval,
	// timeout_set, timeout_get; among workers and servers also cancelled and holds.
	Type    string   `json:"type"`
	Text    string   `json:"text,omitempty"`    // echo: what comes back; stop: StopNow, or why; eval: R source
	Seconds float64  `json:"seconds,omitempty"` // timeout_set: IdleTimeout
	Queues  []string `json:"queues,omitempty"`  // queues: which from now on
	// Tasks are those that were CANCELLED, where it is that: the worker reads their
	// records. Of holds, ids with the nonce of a lease after a space: the answer's Value
	// are those that the worker has.
	Tasks []string `json:"tasks,omitempty"`
}

// StopNow is the Text of a stop that does not wait for what runs: that goes back.
const StopNow = "now"

// Answer is what a worker answers to a Message.
type Answer struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
	Value any    `json:"value,omitempty"` // by the type of the message
}

// QueuesChanged is where servers tell workers that they are to read the settings of
// queues anew, which they also do every few seconds.
const QueuesChanged = "rp.x.queues"
