package tasks

import "time"

// Task is one call of a job: its record under TaskSubject.
type Task struct {
	Job   string `json:"job"`
	N     int    `json:"n"` // from 1
	State State  `json:"state"`
	Rev   uint64 `json:"-"` // the record's sequence number in its stream, 0 for none

	Owner string `json:"owner"`
	Queue string `json:"queue"`
	Lane  Lane   `json:"lane"`

	Submitted time.Time `json:"submitted"`
	NotBefore time.Time `json:"not_before,omitzero"` // PENDING: it is not claimed before
	Started   time.Time `json:"started,omitzero"`    // of the last attempt
	Ended     time.Time `json:"ended,omitzero"`

	// Held says that a PENDING task has no message in the stream of work: it waits for
	// NotBefore, or for a limit on how many of its owner or job may run.
	Held bool `json:"held,omitempty"`

	Attempt  int       `json:"attempt,omitempty"`  // how many have begun
	Errors   int       `json:"errors,omitempty"`   // of those, ended with an R error
	Timeouts int       `json:"timeouts,omitempty"` // of those, ended at their time limit
	Lost     int       `json:"lost,omitempty"`     // of those, lost with process, worker or host
	Past     []Attempt `json:"past,omitempty"`     // those that have ended, the last MaxPast
	Lease    *Lease    `json:"lease,omitempty"`    // RUNNING: who has it

	Result   Value    `json:"result,omitzero"` // COMPLETE
	Failure  *Failure `json:"failure,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Usage    Usage    `json:"usage,omitzero"` // of the last attempt

	MovedTo   string `json:"moved_to,omitempty"`   // MOVED: the task that replaces it
	MovedFrom string `json:"moved_from,omitempty"` // the one that it replaces
	RootN     int    `json:"root_n,omitempty"`     // its number in the first job of the chain, where it is another
	Origin    string `json:"origin,omitempty"`     // that job, whose elements and call it has

	By string `json:"by,omitempty"` // who cancelled or moved it
}

// MaxPast is how many past attempts a record keeps.
const MaxPast = 10

// Lease is a worker's hold on a task. Nonce tells attempts apart: who finds his own in
// the record after a write that seemed to fail has written it.
type Lease struct {
	Worker string    `json:"worker"`
	Host   string    `json:"host"`
	Nonce  string    `json:"nonce"`
	Since  time.Time `json:"since"`
	Pid    int       `json:"pid,omitempty"` // of R, once known; records of short tasks lack it
}

// Attempt is one that has ended.
type Attempt struct {
	Worker  string    `json:"worker"`
	Host    string    `json:"host"`
	Pid     int       `json:"pid,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	Cause   string    `json:"cause"` // see Causes
	Message string    `json:"message,omitempty"`
}

// Causes of the end of an attempt.
const (
	CauseDone      = "done"
	CauseError     = "error"         // R signalled an error
	CauseTimeout   = "timeout"       // over Job.Timeout
	CauseCancelled = "cancelled"     // by a user
	CauseSignal    = "signal"        // the R process died of one; the message names it
	CauseExit      = "exit"          // the R process ended, with the status in the message
	CauseMemory    = "out_of_memory" // over its limit, or killed by the kernel for it
	CauseCPU       = "cpu_limit"
	CauseWorker    = "worker_stopped" // the worker was told to stop before it was done
	CauseHost      = "host_lost"      // the worker did not renew its lease
	CauseStart     = "start"          // the environment could not be brought up
	CauseValues    = "values_away"    // the store of values could not be reached for a minute
	CauseParent    = "impossible"     // what it depends on failed, or is no more
)

// Failure is why there is no value.
type Failure struct {
	Cause     string   `json:"cause"`
	Message   string   `json:"message"`
	Classes   []string `json:"classes,omitempty"` // class(cond)
	Call      string   `json:"call,omitempty"`
	Traceback []string `json:"traceback,omitempty"` // innermost last
	Tasks     []string `json:"tasks,omitempty"`     // IMPOSSIBLE: those that failed, at most 5
}

// Usage is what an attempt took.
type Usage struct {
	User    time.Duration `json:"user,omitempty"`
	System  time.Duration `json:"system,omitempty"`
	PeakRSS int64         `json:"peak_rss,omitempty"` // bytes
}

// ID is the task's id: that of its job, a dot and its number from 1.
func (t *Task) ID() string { return TaskID(t.Job, t.N) }
