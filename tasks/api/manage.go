package api

import "time"

// IDs are tasks or jobs to be dealt with in one call.
type IDs struct {
	IDs []string `json:"ids" required:"true" doc:"Ids of tasks, or of jobs for all of their tasks."`
}

// RetryRequest says which tasks are tried again, and what is changed.
type RetryRequest struct {
	IDs      []string  `json:"ids,omitempty" doc:"Ids of tasks, or of jobs for those of their tasks that failed. Not where the path names them."`
	Queue    string    `json:"queue,omitempty" doc:"Another queue."`
	Priority string    `json:"priority,omitempty" enum:"high|normal|low" doc:"Another priority."`
	Front    bool      `json:"front,omitempty" doc:"Before all others of the queue."`
	Memory   *Size     `json:"memory,omitempty" doc:"Another limit of memory."`
	Timeout  *Duration `json:"timeout,omitempty" doc:"Another time limit."`
}

// Outcomes are what came of dealing with each id.
type Outcomes struct {
	Outcomes []Outcome `json:"outcomes" doc:"In the order of the ids."`
}

// Outcome is what came of dealing with one id.
type Outcome struct {
	ID      string `json:"id" doc:"As it was given."`
	OK      bool   `json:"ok" doc:"It was done."`
	State   string `json:"state,omitempty" doc:"The task's state now."`
	NewID   string `json:"new_id,omitempty" doc:"Retry: the task or job that replaces it."`
	Count   int    `json:"count,omitempty" doc:"Of a job: how many of its tasks."`
	Error   string `json:"error,omitempty" doc:"Why it was not done, as a code."`
	Message string `json:"message,omitempty" doc:"Why it was not done."`
}

// WaitRequest says what is waited for.
type WaitRequest struct {
	IDs     []string  `json:"ids" required:"true" doc:"Ids of tasks, or of jobs for all of their tasks."`
	Until   string    `json:"until,omitempty" enum:"all|any|first_error" doc:"Until all have ended, any has, or one has failed or all have ended. Without it, all."`
	Timeout *Duration `json:"timeout,omitempty" doc:"How long at most; the server's limit is a minute, after which one asks again. Without it, 30 seconds; 0 answers at once with how far it is."`
}

// WaitResult is how far it is.
type WaitResult struct {
	Done    bool             `json:"done" doc:"What was waited for has come; otherwise ask again."`
	Total   int64            `json:"total" doc:"Tasks that are waited for."`
	States  map[string]int64 `json:"states" doc:"How many of them are in which state."`
	Ended   []string         `json:"ended,omitempty" doc:"Ids among those given that have ended, at most 1000."`
	Failed  []string         `json:"failed,omitempty" doc:"Ids of tasks that have failed, at most 100."`
	Missing []string         `json:"missing,omitempty" doc:"Ids that are not known, at most 100."`
}

// Event is a change: of a task, of what it prints, or of its progress.
type Event struct {
	Type     string    `json:"type" enum:"task|log|progress|gap|end" doc:"task: a task has changed. log: lines. progress: a value. gap: changes were missed; read anew. end: nothing more comes."`
	Time     time.Time `json:"time" doc:"When."`
	Task     string    `json:"task,omitempty" doc:"Id of the task."`
	Job      string    `json:"job,omitempty" doc:"Id of its job."`
	State    string    `json:"state,omitempty" doc:"task: its state now."`
	Queue    string    `json:"queue,omitempty" doc:"task: its queue."`
	Attempt  int       `json:"attempt,omitempty" doc:"task: how many attempts have begun."`
	Message  string    `json:"message,omitempty" doc:"task: why it failed."`
	Stream   string    `json:"stream,omitempty" doc:"log: where it was printed: stdout, message or warning."`
	Lines    []string  `json:"lines,omitempty" doc:"log: what was printed."`
	Progress *Value    `json:"progress,omitempty" doc:"progress: the value."`

	ID string `json:"-"` // of server-sent events: where to go on
}

// LogLine is a line that a task printed.
type LogLine struct {
	Seq     uint64    `json:"seq" doc:"To go on from: give the last one as after."`
	Time    time.Time `json:"time" doc:"When it was printed."`
	Stream  string    `json:"stream" doc:"Where: stdout, message or warning; of a worker, an event such as TASK_START."`
	Line    string    `json:"line" doc:"The line."`
	Attempt int       `json:"attempt,omitempty" doc:"Of which attempt."`
}

// Progress is the last that a task told of itself.
type Progress struct {
	Time  *time.Time `json:"time,omitempty" doc:"When it told; absent where it has told nothing."`
	Value *Value     `json:"value,omitempty" doc:"The value."`
}

// Queue is a queue: its settings and what is in it.
type Queue struct {
	Name      string `json:"name" doc:"Name."`
	Paused    bool   `json:"paused" doc:"Nothing of it is begun."`
	MaxLength int    `json:"max_length,omitempty" doc:"Tasks that may wait in it; more are refused. 0 is no limit."`
	MaxBytes  Size   `json:"max_bytes,omitempty" doc:"Bytes of arguments of those. 0 is no limit."`

	Pending  int64 `json:"pending" doc:"Tasks that can be begun, or wait for their time or a limit."`
	Deferred int64 `json:"deferred" doc:"Tasks that wait for others."`
	Running  int64 `json:"running" doc:"Tasks that run."`
	Bytes    int64 `json:"bytes" doc:"Bytes of arguments of those that wait."`
	Workers  int   `json:"workers" doc:"Workers that take from it."`
}

// Queues are all of them.
type Queues struct {
	Queues []Queue `json:"queues" doc:"By name."`
}

// QueueSettings are what can be set of a queue. What is absent stays as it is.
type QueueSettings struct {
	Paused    *bool `json:"paused,omitempty" doc:"Nothing of it is begun."`
	MaxLength *int  `json:"max_length,omitempty" doc:"Tasks that may wait in it; more are refused. 0 is no limit."`
	MaxBytes  *Size `json:"max_bytes,omitempty" doc:"Bytes of arguments of those. 0 is no limit."`
}

// Owner is who submits: limits, and what there is.
type Owner struct {
	Owner      string           `json:"owner" doc:"Name."`
	MaxRunning int              `json:"max_running" doc:"Tasks that may run at a time. 0 is no limit."`
	MaxJobs    int              `json:"max_jobs" doc:"Jobs with tasks that run. 0 is no limit."`
	MaxBytes   Size             `json:"max_bytes" doc:"Bytes of values that may be kept. 0 is no limit."`
	States     map[string]int64 `json:"states" doc:"Tasks by state."`
	Bytes      int64            `json:"bytes" doc:"Bytes of values that are kept."`
}

// OwnerSettings are what can be set of an owner. What is absent stays as it is.
type OwnerSettings struct {
	MaxRunning *int  `json:"max_running,omitempty" doc:"Tasks that may run at a time. 0 is no limit."`
	MaxJobs    *int  `json:"max_jobs,omitempty" doc:"Jobs with tasks that run. 0 is no limit."`
	MaxBytes   *Size `json:"max_bytes,omitempty" doc:"Bytes of values that may be kept. 0 is no limit."`
}

// Owners are those that one may see.
type Owners struct {
	Owners []Owner `json:"owners" doc:"By name."`
}

// Deleted is what was deleted.
type Deleted struct {
	Deleted string `json:"deleted" doc:"Its name."`
}

// Environment is what workers have loaded before a task of it.
type Environment struct {
	Name     string            `json:"name,omitempty" doc:"Name."`
	Version  int               `json:"version,omitempty" doc:"Version, from 1. Set by the server."`
	Owner    string            `json:"owner,omitempty" doc:"Who set it. Set by the server."`
	Created  *time.Time        `json:"created,omitempty" doc:"When it was set. Set by the server."`
	Packages []string          `json:"packages,omitempty" doc:"Packages that are attached."`
	Sources  []Source          `json:"sources,omitempty" doc:"R files, sourced in order."`
	Setup    string            `json:"setup,omitempty" doc:"R code that is run after them."`
	Options  map[string]string `json:"options,omitempty" doc:"R options(), name to an R expression."`
	Env      map[string]string `json:"env,omitempty" doc:"Environment variables."`
	Dir      string            `json:"dir,omitempty" doc:"Working directory on the workers' machines. Without it, the worker's own."`
}

// Source is an R file. One of Text, Ref and Path is set.
type Source struct {
	Name string `json:"name,omitempty" doc:"File name, for messages."`
	Text string `json:"text,omitempty" doc:"The text itself; answers have a reference in its place."`
	Ref  string `json:"ref,omitempty" doc:"Reference of PUT /v1/values."`
	Path string `json:"path,omitempty" doc:"Absolute path on the workers' machines."`
}

// Environments are all of them.
type Environments struct {
	Environments []Environment `json:"environments" doc:"By name."`
}

// WorkerConfig are named settings that workers start with.
type WorkerConfig struct {
	Name        string   `json:"name,omitempty" doc:"Name."`
	Queues      []string `json:"queues,omitempty" doc:"Queues in order of priority. Without it, default."`
	Min         int      `json:"min,omitempty" doc:"R processes that are kept up."`
	Max         int      `json:"max,omitempty" doc:"R processes at most. 0 is one for each core."`
	IdleTimeout Duration `json:"idle_timeout,omitempty" doc:"The worker ends after so long without a task. 0 is never."`
	MaxMemory   Size     `json:"max_memory,omitempty" doc:"Resident memory of one R process. 0 is no limit."`
	MaxTasks    int      `json:"max_tasks,omitempty" doc:"An R process is replaced after so many. 0 is never."`
	LogTasks    bool     `json:"log_tasks,omitempty" doc:"The worker's log names each task."`
}

// WorkerConfigs are all of them.
type WorkerConfigs struct {
	Configs []WorkerConfig `json:"configs" doc:"By name."`
}

// Worker is a worker: a process of rpipe with its R processes.
type Worker struct {
	ID       string     `json:"id" doc:"Id."`
	Host     string     `json:"host" doc:"Machine."`
	Pid      int        `json:"pid" doc:"Process."`
	User     string     `json:"user" doc:"User that it runs as."`
	State    string     `json:"state" enum:"IDLE|BUSY|PAUSED|STOPPING|LOST" doc:"What it does."`
	Queues   []string   `json:"queues" doc:"Queues that it takes from, in order."`
	Started  *time.Time `json:"started,omitempty" doc:"When it started."`
	Seen     *time.Time `json:"seen,omitempty" doc:"When it last said so."`
	Version  string     `json:"version" doc:"Of rpipe."`
	R        string     `json:"r" doc:"Version of R."`
	Platform string     `json:"platform" doc:"Platform of R."`
	Max      int        `json:"max" doc:"R processes at most."`
	Up       int        `json:"up" doc:"R processes that are up."`
	Busy     int        `json:"busy" doc:"R processes that run a task."`
	RSS      int64      `json:"rss" doc:"Resident memory of them, in bytes."`
	Tasks    []string   `json:"tasks" doc:"Tasks that run, at most 100."`
	Done     int64      `json:"done" doc:"Tasks that it has done."`
	Load     Load       `json:"load" doc:"R processes that were busy, on average."`
	Config   string     `json:"config,omitempty" doc:"Named configuration that it started with."`
	Job      string     `json:"job,omitempty" doc:"Id of the scheduler's job that it runs in."`
}

// Load is how many R processes were busy, on average.
type Load struct {
	S1  float64 `json:"s1" doc:"Over a second."`
	S5  float64 `json:"s5" doc:"Over 5 seconds."`
	S15 float64 `json:"s15" doc:"Over 15 seconds."`
	All float64 `json:"all" doc:"Since it started."`
}

// Workers are all of them.
type Workers struct {
	Workers []Worker `json:"workers" doc:"By id."`
}

// Message is what a worker is told.
type Message struct {
	Type    string   `json:"type" required:"true" enum:"ping|echo|info|load|pause|resume|refresh|stop|eval|timeout_set|timeout_get|queues" doc:"What it is told."`
	Text    string   `json:"text,omitempty" doc:"echo: what comes back. stop: why. eval: R source text."`
	Seconds Duration `json:"seconds,omitempty" doc:"timeout_set: the idle time."`
	Queues  []string `json:"queues,omitempty" doc:"queues: which to take from now."`
}

// Reply is what a worker answers.
type Reply struct {
	OK    bool   `json:"ok" doc:"It did what it was told."`
	Error string `json:"error,omitempty" doc:"Why it did not."`
	Value any    `json:"value,omitempty" doc:"What it says, by the type of the message."`
}

// Info is what the server says of itself.
type Info struct {
	Name       string           `json:"name" doc:"rpipe."`
	Version    string           `json:"version" doc:"Of rpipe."`
	API        string           `json:"api" doc:"Version of this API."`
	Started    time.Time        `json:"started" doc:"When it started."`
	Owner      string           `json:"owner" doc:"Whom it takes you for."`
	Scopes     []string         `json:"scopes" doc:"What you may do."`
	Durability string           `json:"durability,omitempty" doc:"When what was acknowledged is on the disk. Absent with external servers."`
	Cluster    bool             `json:"cluster" doc:"The engine is elsewhere."`
	MaxBody    Size             `json:"max_body" doc:"Largest body of a request but for values."`
	MaxValue   Size             `json:"max_value" doc:"Largest value."`
	MaxInline  Size             `json:"max_inline" doc:"Values up to this size are best sent in the submission itself."`
	States     map[string]int64 `json:"states" doc:"Tasks by state: your own, or all where you may read."`
	Index      IndexStatus      `json:"index" doc:"The read model."`
}

// IndexStatus is how the read model stands.
type IndexStatus struct {
	Ready  bool   `json:"ready" doc:"It has caught up with the records."`
	Seq    uint64 `json:"seq" doc:"The last change that is in it."`
	Behind uint64 `json:"behind,omitempty" doc:"Changes that are not in it yet."`
}

// Stored is a value that was put.
type Stored struct {
	Ref  string `json:"ref" doc:"Its reference: SHA-256 of its bytes, in hex."`
	Size int64  `json:"size" doc:"Bytes."`
}

// BackupRequest says where a copy of the store goes.
type BackupRequest struct {
	Dir string `json:"dir" required:"true" doc:"A new directory on the server's machine, absolute."`
}

// Backup is what was copied.
type Backup struct {
	Dir   string   `json:"dir" doc:"Where it is."`
	Bytes int64    `json:"bytes" doc:"How much."`
	Took  Duration `json:"took" doc:"Seconds that it took."`
}

// Purged is how much was taken out of a queue.
type Purged struct {
	Cancelled int64 `json:"cancelled" doc:"Tasks that were cancelled."`
}

// Fault is what an error says.
type Fault struct {
	Status     int      `json:"-"`
	Code       string   `json:"error" doc:"A word for programs, such as invalid, not_found, conflict, queue_full."`
	Message    string   `json:"message" doc:"What is wrong, and how to mend it."`
	Field      string   `json:"field,omitempty" doc:"The field that is wrong."`
	RetryAfter Duration `json:"retry_after,omitempty" doc:"When to try again."`
	RequestID  string   `json:"request_id,omitempty" doc:"Id of the request, as in the server's log."`
}

func (f *Fault) Error() string {
	if f.Field != "" {
		return f.Field + ": " + f.Message
	}
	return f.Message
}
