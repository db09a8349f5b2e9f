package api

import (
	"encoding/json"
	"time"
)

// Submission is a job to be run: one call of R, or one for each of many elements. One of
// Fun and Expr is set.
type Submission struct {
	ID     string            `json:"id,omitempty" doc:"A ULID in lower case of the submitter's own making, so that asking again after a lost answer does not submit twice. Made by the server otherwise."`
	Key    string            `json:"key,omitempty" doc:"Idempotency key: of two submissions of an owner with the same key the second answers with the job of the first."`
	Name   string            `json:"name,omitempty" doc:"A name for people, and to find the job by."`
	Labels map[string]string `json:"labels,omitempty" doc:"Labels, to filter by."`

	Fun  *Value `json:"fun,omitempty" doc:"A function: R source text, such as function(x) x^2, or a name, such as stats::rnorm; or a serialized closure as {\"$r\": …} or {\"$ref\": …}."`
	Expr *Value `json:"expr,omitempty" doc:"An expression, in place of a function: R source text, or serialized. The arguments are its variables."`
	Args Args   `json:"args,omitempty" doc:"Arguments of the function, or variables of the expression, shared by all tasks: an object by name, or an array by position. A value is JSON, or {\"$r\": base64 of serialize()}, {\"$ref\": reference of PUT /v1/values}, or {\"$task\": id of a task or job whose result it is}."`

	Over     *Value `json:"over,omitempty" doc:"Elements of an array job: an array, or an R list, vector or, with rows, data.frame as {\"$r\": …} or {\"$ref\": …}. A task each, whose first argument is the element."`
	Rows     bool   `json:"rows,omitempty" doc:"The elements are rows: objects, or those of a data.frame, whose columns are arguments by name."`
	OverName string `json:"over_name,omitempty" doc:"Name of the argument that the element is. Without it, it is the first by position; in an expression it is x."`

	Packages    Strings `json:"packages,omitempty" doc:"Packages that are attached before."`
	Environment string  `json:"environment,omitempty" doc:"Environment that the tasks run in: a name, or name@version. Without it, default."`

	Queue     string     `json:"queue,omitempty" doc:"Queue. Without it, default."`
	Priority  string     `json:"priority,omitempty" enum:"high|normal|low" doc:"Place within the queue: high, normal or low. Without it, normal."`
	Front     bool       `json:"front,omitempty" doc:"Puts the tasks before all others of the queue."`
	DependsOn Strings    `json:"depends_on,omitempty" doc:"Ids of tasks, or of jobs for all of their tasks, which must be COMPLETE first."`
	RunAt     *time.Time `json:"run_at,omitempty" doc:"Not before this time."`
	Delay     Duration   `json:"delay,omitempty" doc:"Not before so long from now."`

	Timeout    Duration `json:"timeout,omitempty" doc:"How long one attempt may run. 0 is no limit."`
	Retry      *Retry   `json:"retry,omitempty" doc:"When a task that came to nothing is tried again by itself."`
	Isolate    bool     `json:"isolate,omitempty" doc:"Runs each task in a process of its own, which ends with it."`
	Memory     Size     `json:"memory,omitempty" doc:"Resident memory that a task may have. 0 is no limit but the worker's."`
	CPU        Duration `json:"cpu,omitempty" doc:"Processor time of one attempt. 0 is no limit."`
	Seed       *int64   `json:"seed,omitempty" doc:"Seed of random numbers: task n draws from stream n of it, whichever worker runs it."`
	MaxRunning int      `json:"max_running,omitempty" doc:"How many of its tasks may run at a time. 0 is no limit."`
	ResultTTL  Duration `json:"result_ttl,omitempty" doc:"How long the records stay after the end. 0 is the server's default."`
}

// Retry says when a task that came to nothing is tried again by itself.
type Retry struct {
	Errors   int      `json:"errors,omitempty" doc:"Attempts that may end in an R error. 0 is 1: none is tried again."`
	Timeouts int      `json:"timeouts,omitempty" doc:"Attempts that may end at their time limit. 0 is 1."`
	Lost     int      `json:"lost,omitempty" doc:"Attempts that may be lost with process, worker or machine. 0 is 3."`
	Classes  Strings  `json:"classes,omitempty" doc:"Classes of R conditions that are tried again. Without it, all."`
	Delay    Duration `json:"delay,omitempty" doc:"Pause before the second attempt, twice as long before each further one. 0 is a second; none where a worker was lost."`
	MaxDelay Duration `json:"max_delay,omitempty" doc:"The longest pause. 0 is five minutes."`
}

// Value is an R value in a document: one of JSON, R, Ref and Task.
type Value struct {
	JSON json.RawMessage // as it stands, by the rules of tasks/rvalue
	R    []byte          // R's serialization; {"$r": base64}
	Ref  string          // a stored value; {"$ref": SHA-256 in hex}
	Task string          // the result of a task, or the list of those of a job; {"$task": id}
}

// Arg is an argument; Name is "" for one by position.
type Arg struct {
	Name  string
	Value Value
}

// Args are arguments in their order: in JSON an object, or an array where none has a name.
// Where some have a name and some do not, it is an object, with ..1, ..2 for those without.
type Args []Arg
