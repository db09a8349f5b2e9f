package tasks

import "time"

// Job is what was submitted: one call of R, or one for each element of an array. Its
// record is under JobSubject, and does not change afterwards but for Dropped and Deleted.
type Job struct {
	ID      string            `json:"id"`
	Name    string            `json:"name,omitempty"`
	Owner   string            `json:"owner"`
	Labels  map[string]string `json:"labels,omitempty"`
	Created time.Time         `json:"created"`
	N       int               `json:"n"`               // how many tasks
	Array   bool              `json:"array,omitempty"` // over elements, where N may be 1 too
	Key     string            `json:"key,omitempty"`   // idempotency key: the same of an owner is the same job

	Queue     string    `json:"queue"`
	Lane      Lane      `json:"lane"`
	DependsOn []string  `json:"depends_on,omitempty"` // ids of tasks, or of jobs for all of their tasks
	NotBefore time.Time `json:"not_before,omitzero"`

	Call Call `json:"call"`
	Over Over `json:"over,omitzero"`

	Timeout    time.Duration `json:"timeout,omitempty"` // of one attempt, from when R has it; 0 is none
	Retry      Retry         `json:"retry"`
	Isolate    bool          `json:"isolate,omitempty"`     // each in a process of its own
	Memory     int64         `json:"memory,omitempty"`      // resident bytes; 0 is no limit but the worker's
	CPU        time.Duration `json:"cpu,omitempty"`         // processor time of an attempt; 0 is no limit
	Seed       *int64        `json:"seed,omitempty"`        // task n draws from stream n of it (rpool.SeedAt)
	MaxRunning int           `json:"max_running,omitempty"` // of its tasks at a time; 0 is no limit
	ResultTTL  time.Duration `json:"result_ttl,omitempty"`  // records go so long after their end; 0 is never

	// RetriedFrom is the job whose tasks Numbers were retried as tasks 1, 2, … of this
	// one; in Origin, the first job of the chain, whose elements they have, those are
	// OriginNumbers. Where that is RetriedFrom itself, both are left out.
	RetriedFrom   string  `json:"retried_from,omitempty"`
	Numbers       Numbers `json:"numbers,omitzero"`
	Origin        string  `json:"origin,omitempty"`
	OriginNumbers Numbers `json:"origin_numbers,omitzero"`

	// Trace and TraceState are the span that submitted it, as W3C Trace Context has it.
	Trace      string `json:"trace,omitempty"`
	TraceState string `json:"trace_state,omitempty"`

	Dropped Numbers `json:"dropped,omitzero"`  // tasks that were deleted, or never came to be
	Deleted bool    `json:"deleted,omitempty"` // its tasks are being deleted, and then it
}

// Call is what R does. What there is of it is evaluated in the environment named Env.
type Call struct {
	Kind string `json:"kind"` // CallExpr, CallFunction or CallHTTP
	// Code is R source text of an expression or of a function, or a function's name
	// such as stats::rnorm, where Text is set; else a serialized closure, or expression.
	Code Value `json:"code"`
	Text bool  `json:"text,omitempty"`
	// Args are arguments of a function, shared by all tasks, after the element of
	// each; of an expression they are the variables that it refers to.
	Args []Arg `json:"args,omitempty"`
	// Packages are attached before, in the worker, where they are not yet.
	Packages []string `json:"packages,omitempty"`
	Env      string   `json:"env,omitempty"` // name, or name@version; "" is default
}

// Kinds of Call.
const (
	CallFunction = "call" // a function with arguments
	CallExpr     = "expr" // an expression with variables
	CallHTTP     = "http" // a request to an API, which only the proxy that took it can run
)

// Arg is an argument; Name is "" for one by position. One of Value and Task is set.
type Arg struct {
	Name  string `json:"name,omitempty"`
	Value Value  `json:"value,omitzero"`
	Task  string `json:"task,omitempty"` // the result of this task, or the list of those of this job; it must be in DependsOn
}

// Over are the elements of an array job. Task n, from 1, has element (n-1) % PerBlock of
// block (n-1) / PerBlock: see package block for the form of a block.
type Over struct {
	Blocks   []string `json:"blocks,omitempty"` // references of blobs
	PerBlock int      `json:"per_block,omitempty"`
	Size     int64    `json:"size,omitempty"` // bytes of all elements
	// Rows says that elements are rows of a data.frame: lists whose elements are
	// arguments by name, and not the one first argument.
	Rows bool   `json:"rows,omitempty"`
	Name string `json:"name,omitempty"` // of the argument that the element is; "" is by position, first
	// Names are those of the elements, "" for none; nil where there are none at all.
	// Where they are many, they are a JSON array in the blob NamesRef.
	Names    []string `json:"names,omitempty"`
	NamesRef string   `json:"names_ref,omitempty"`
}

// Retry says when a task that came to nothing is tried again by itself.
type Retry struct {
	// Attempts that may end so: an R error, its time limit, or the death of process,
	// worker or host. 0 is the default: 1, 1 and 3, but 1 in
	// place of 3 for what was over the job's own limit of memory or processor time.
	Errors   int `json:"errors,omitempty"`
	Timeouts int `json:"timeouts,omitempty"`
	Lost     int `json:"lost,omitempty"`
	// Classes are those of R conditions that are tried again; empty is all.
	Classes []string `json:"classes,omitempty"`
	// Delay before the second attempt; twice as long before each further one, up to MaxDelay.
	Delay    time.Duration `json:"delay,omitempty"`     // 0 is 1s; for the lost none before the second
	MaxDelay time.Duration `json:"max_delay,omitempty"` // 0 is 5m
}

// Value is an R value: R's serialization, a whole stream of any version, here or in a blob.
type Value struct {
	Data []byte `json:"data,omitempty"`
	Ref  string `json:"ref,omitempty"`  // a blob's name: SHA-256 in hex
	Size int64  `json:"size,omitempty"` // bytes of either
}

// IsZero reports whether there is none.
func (v Value) IsZero() bool { return v.Data == nil && v.Ref == "" }

// MaxInline is the largest value that stands in a record. Larger ones are blobs.
const MaxInline = 16 << 10

// Lane is the place within a queue: 0 for the front, then by priority.
type Lane int

const (
	Front  Lane = 0 // before all others: Submission.Front, and those that waited for others
	High   Lane = 1
	Normal Lane = 2
	Low    Lane = 3
)

// Lanes is how many there are.
const Lanes = 4
