package rpool

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/rdata"
)

// Priority orders those who wait for a worker.
type Priority int

const (
	// Interactive requests go first: HTTP, and tasks where there is nothing else.
	Interactive Priority = iota
	// Queued requests are those of the task queue beside Interactive ones: they wait for
	// those, and leave Options.Reserve workers to them.
	Queued
	// Bulk requests fill what is idle; their workers run at nice 10.
	Bulk

	priorities = iota
)

// String is interactive, queued or bulk.
func (p Priority) String() string {
	return [priorities]string{"interactive", "queued", "bulk"}[p]
}

// Kind says what a request asks of a worker.
type Kind uint8

const (
	// Map calls the function named Fun with the data.frame in Data.
	Map Kind = iota + 1
	// Call evaluates a serialized list(fun, args): fun is a function or a name.
	Call
	// HTTP gives HTTP to the environment's Handler.
	HTTP
	// Task evaluates Task, with what it prints and its progress to Events.
	Task
)

// String is map, call, http or task.
func (k Kind) String() string {
	switch k {
	case Map:
		return "map"
	case Call:
		return "call"
	case HTTP:
		return "http"
	case Task:
		return "task"
	}
	return "none"
}

// Request is one unit of work for one worker. Everything that carries R values
// is a headerless item of R's serialization (rdata.AppendItem).
type Request struct {
	Kind    Kind
	Fun     string        // Map: the function's name, pkg::name allowed
	Data    []byte        // Map: the data.frame. Call: list(fun, args)
	Coded   []int32       // Map: columns of Data, from 1, that are codes with levels for text (frame.AppendCodedR)
	Args    []byte        // Map: a named list of further arguments; nil for none
	Seed    *Seed         // nil leaves the worker's own stream alone
	HTTP    *HTTPRequest  // HTTP
	Task    *TaskCall     // Task
	Timeout time.Duration // 0 is none
	// Memory is the resident bytes that the worker may have while it runs this, and
	// CPU the processor time that it may take; 0 is no limit but the pool's. Both are
	// looked at every second. A request over one of them is stopped as one is that is
	// over its Timeout; it ends with a *DiedError that says so, and so does its worker.
	Memory int64
	CPU    time.Duration
	// Events, if set, is called with each line and progress of a Task as it comes, the
	// last before Do returns; it must not wait for anything. Lines come in their order,
	// and a progress after the lines that stand before it, but it may be overtaken by
	// those behind it. There is no Reply.Output then.
	Events  func(Event)
	Isolate bool   // run in a fork of its own, which ends with the request
	Trace   *Trace // if set, filled in before Pool.Do returns
	// Began, if set, is called with the process that runs the request, just before it
	// gets it; it must not wait for anything.
	Began func(pid int)
	// Ending is a file that is made before the first signal is sent to stop the
	// request: code that traps interrupts knows by it that it is to end. "" for none.
	Ending string
	// Aloud says that what the code prints goes to Options.Output as it comes, in
	// place of Reply.Output: for code that runs without end.
	Aloud bool
	Label string // for logs and errors, such as "batch 12 (rows 120001-130000)"

	// What the code of a Map, Call or Task finds in TRACEPARENT and TRACESTATE: the
	// span of Pool.Do's context.
	traceparent, tracestate string
}

// Trace is where the time of a request went. It adds up over repeated tries.
type Trace struct {
	Queue time.Duration // waiting for a worker
	Run   time.Duration // with one
	Pid   int           // of the last worker; 0 where there was none
}

// Seed is an L'Ecuyer-CMRG state, as it stands in .Random.seed after the kind.
type Seed [6]int32

// Reply is what a worker answered.
type Reply struct {
	Data     []byte        // the value, a headerless item; of a Task a whole stream
	File     string        // of a Task: the file that has the value, in place of Data
	Size     int64         // of a Task: bytes of Data or File
	HTTP     *HTTPResponse // of a request of that kind, in place of Data
	Warnings []string      // conditionMessage of each warning, at most 50
	Output   string        // what the code printed, cut at 64 KiB
	User     time.Duration
	System   time.Duration
	PeakRSS  int64 // bytes; the worker's high-water mark after the request, or after its first for HTTP
	Pid      int   // the worker
}

// check finds what would be a mistake of the caller's, before R is troubled.
func (r *Request) check() error {
	switch {
	case r.Kind == HTTP:
		return r.HTTP.check()
	case r.Kind == Task:
		return r.Task.check()
	case r.Kind != Map && r.Kind != Call:
		return fmt.Errorf("rpool: request of unknown kind %d", r.Kind)
	case r.Kind == Map && r.Fun == "":
		return errors.New("rpool: map without a function")
	}
	if err := checkText(r.Fun); err != nil {
		return fmt.Errorf("rpool: function name %q: %w", r.Fun, err)
	}
	return nil
}

// checkText says why s cannot be an R string: rdata.ErrNUL or rdata.ErrUTF8.
func checkText(s string) error {
	switch {
	case strings.IndexByte(s, 0) >= 0:
		return rdata.ErrNUL
	case !utf8.ValidString(s):
		return rdata.ErrUTF8
	}
	return nil
}
