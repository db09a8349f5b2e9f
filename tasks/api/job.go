package api

import "time"

// Job is what became of a submission.
type Job struct {
	ID      string            `json:"id" doc:"Id: a ULID in lower case."`
	Name    string            `json:"name,omitempty" doc:"Name."`
	Owner   string            `json:"owner" doc:"Who submitted it."`
	Labels  map[string]string `json:"labels,omitempty" doc:"Labels."`
	Queue   string            `json:"queue" doc:"Queue."`
	Created time.Time         `json:"created" doc:"When it was submitted."`
	Started *time.Time        `json:"started,omitempty" doc:"When the first of its tasks began."`
	Ended   *time.Time        `json:"ended,omitempty" doc:"When the last of its tasks ended; absent while one has not."`

	N      int              `json:"n" doc:"How many tasks it has."`
	Array  bool             `json:"array" doc:"It is over elements."`
	States map[string]int64 `json:"states" doc:"How many of its tasks are in which state."`
	State  string           `json:"state" enum:"init|running|finish|failed|canceled" doc:"All of them in a word: init (none has begun), running, finish (all are COMPLETE, or MOVED to a retry), failed (ended, and some have no value), canceled (ended, and all without a value were cancelled)."`
	Done   bool             `json:"done" doc:"Every task has ended."`

	RetriedFrom string   `json:"retried_from,omitempty" doc:"The job of which this one retries tasks."`
	DependsOn   []string `json:"depends_on,omitempty" doc:"What it waits for."`
	Existing    bool     `json:"existing,omitempty" doc:"Answer to a submission: there was a job with this key or id already."`
}

// Jobs is a page of them.
type Jobs struct {
	Jobs []Job  `json:"jobs" doc:"Jobs, the newest first unless asked otherwise."`
	Next string `json:"next,omitempty" doc:"What to give as after for the next page; absent on the last."`
}

// Task is one call of a job.
type Task struct {
	ID       string `json:"id" doc:"Id: that of its job, a dot and its number from 1."`
	Job      string `json:"job" doc:"Id of its job."`
	N        int    `json:"n" doc:"Number within the job, from 1."`
	Name     string `json:"name,omitempty" doc:"Name of the job."`
	Element  string `json:"element,omitempty" doc:"Name of its element, where elements have names."`
	State    string `json:"state" enum:"PENDING|DEFERRED|RUNNING|COMPLETE|ERROR|CANCELLED|DIED|TIMEOUT|IMPOSSIBLE|MOVED|MISSING" doc:"Where it is in its life. MISSING: there is no such task, or it is another's."`
	Owner    string `json:"owner,omitempty" doc:"Who submitted it."`
	Queue    string `json:"queue,omitempty" doc:"Queue."`
	Priority string `json:"priority,omitempty" enum:"front|high|normal|low" doc:"Place within the queue."`

	Submitted *time.Time `json:"submitted,omitempty" doc:"When it was submitted."`
	NotBefore *time.Time `json:"not_before,omitempty" doc:"It is not begun before."`
	Started   *time.Time `json:"started,omitempty" doc:"When its last attempt began."`
	Ended     *time.Time `json:"ended,omitempty" doc:"When it ended."`
	Held      bool       `json:"held,omitempty" doc:"It waits for its time, or for a limit on how many may run."`
	Ahead     *int64     `json:"ahead,omitempty" doc:"PENDING: how many tasks stand before it in its queue."`

	Attempt int       `json:"attempt,omitempty" doc:"How many attempts have begun."`
	Past    []Attempt `json:"past,omitempty" doc:"Attempts that have ended, the last ten."`
	Worker  string    `json:"worker,omitempty" doc:"RUNNING: the worker that has it."`
	Host    string    `json:"host,omitempty" doc:"RUNNING: the machine of that worker."`
	Pid     int       `json:"pid,omitempty" doc:"RUNNING: the R process, once it is known."`

	ResultSize int64    `json:"result_size,omitempty" doc:"COMPLETE: bytes of the value."`
	Failure    *Failure `json:"failure,omitempty" doc:"Why there is no value; PENDING: why the last attempt came to nothing."`
	Warnings   []string `json:"warnings,omitempty" doc:"R's warnings."`
	Usage      *Usage   `json:"usage,omitempty" doc:"What the last attempt took."`

	MovedTo   string `json:"moved_to,omitempty" doc:"MOVED: the task that replaces it."`
	MovedFrom string `json:"moved_from,omitempty" doc:"The task that it replaces."`
	By        string `json:"by,omitempty" doc:"Who cancelled or moved it."`
}

// Attempt is one that has ended.
type Attempt struct {
	Worker  string    `json:"worker" doc:"Worker."`
	Host    string    `json:"host" doc:"Its machine."`
	Pid     int       `json:"pid,omitempty" doc:"The R process."`
	Started time.Time `json:"started" doc:"When it began."`
	Ended   time.Time `json:"ended" doc:"When it ended."`
	Cause   string    `json:"cause" enum:"done|error|timeout|cancelled|signal|exit|out_of_memory|cpu_limit|worker_stopped|host_lost|start" doc:"How it ended."`
	Message string    `json:"message,omitempty" doc:"More about it."`
}

// Failure is why there is no value.
type Failure struct {
	Cause     string   `json:"cause" doc:"As of an attempt, or impossible: what it depends on has failed."`
	Message   string   `json:"message" doc:"R's message, or what happened to the process."`
	Classes   []string `json:"classes,omitempty" doc:"class() of the R condition."`
	Call      string   `json:"call,omitempty" doc:"The call that failed."`
	Traceback []string `json:"traceback,omitempty" doc:"The user's frames, the innermost last."`
	Tasks     []string `json:"tasks,omitempty" doc:"IMPOSSIBLE: tasks that failed."`
}

// Usage is what an attempt took.
type Usage struct {
	User    Duration `json:"user" doc:"Processor time in R code, in seconds."`
	System  Duration `json:"system" doc:"Processor time in the system, in seconds."`
	PeakRSS Size     `json:"peak_rss" doc:"Resident memory at its peak, in bytes."`
}

// Tasks is a page of them.
type Tasks struct {
	Tasks []Task `json:"tasks" doc:"Tasks, the newest first unless asked otherwise."`
	Next  string `json:"next,omitempty" doc:"What to give as after for the next page; absent on the last."`
}

// Counts is how many tasks there are.
type Counts struct {
	Total  int64            `json:"total" doc:"Tasks."`
	States map[string]int64 `json:"states" doc:"By state."`
}

// Result is what a task came to: a line of the results of a job.
type Result struct {
	ID      string   `json:"id" doc:"Id of the task."`
	N       int      `json:"n" doc:"Its number within the job."`
	Element string   `json:"element,omitempty" doc:"Name of its element, where elements have names."`
	State   string   `json:"state" doc:"Its state; of one that was retried, that of the last retry."`
	Value   *Value   `json:"value,omitempty" doc:"COMPLETE: the value, as JSON; of one of more than 64 MiB, or of more than 128 MiB as JSON, its reference, or R's serialization of a short one."`
	Failure *Failure `json:"failure,omitempty" doc:"Why there is none."`
}

// Values are those of a job, as one document.
type Values struct {
	ID     string            `json:"id" doc:"Id of the job."`
	Name   string            `json:"name" doc:"Its name."`
	Values []*Value          `json:"values" doc:"The values of its tasks in order, null for those without."`
	Errors map[string]string `json:"errors,omitempty" doc:"Why there is none, by number."`
}
