package index

import (
	"errors"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
)

// Filter says which tasks or jobs are meant: those for which all that is set is true.
type Filter struct {
	Owner  string
	Job    string // its id
	Name   string // of the job
	Queue  string
	Worker string            // of the last attempt; tasks only
	States []tasks.State     // one of these; for jobs: with a task in one of these
	Labels map[string]string // of the job
	Since  time.Time         // submitted then or later
	Until  time.Time         // submitted before
	// Text are words. Each must be the beginning of a word in the job's name and labels,
	// or each in the task's error message, in any case of letters.
	Text string

	Limit  int    // rows of a page, at most MaxLimit; 0 is DefaultLimit
	After  string // the cursor that came with the page before
	Oldest bool   // oldest first, else newest first
}

// Limits of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 10000
)

// ErrCursor is that of a Filter whose After is not a cursor.
var ErrCursor = errors.New("not a cursor: give what came as next with the page before")

// TaskRow is what lists show of a task. Its record has the rest.
type TaskRow struct {
	Job    string            `json:"job"`
	N      int               `json:"n"`
	Name   string            `json:"name,omitempty"`   // of the job
	Labels map[string]string `json:"labels,omitempty"` // of the job
	State  tasks.State       `json:"state"`
	Rev    uint64            `json:"-"`

	Owner string     `json:"owner"`
	Queue string     `json:"queue"`
	Lane  tasks.Lane `json:"lane"`
	Held  bool       `json:"held,omitempty"`

	Submitted time.Time `json:"submitted"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Ended     time.Time `json:"ended,omitzero"`
	Changed   time.Time `json:"changed"` // the record

	Attempt int    `json:"attempt,omitempty"`
	Worker  string `json:"worker,omitempty"` // of the last attempt
	Host    string `json:"host,omitempty"`   // of the last attempt
	Cause   string `json:"cause,omitempty"`
	Message string `json:"message,omitempty"` // of the failure, at most MaxMessage bytes
	Size    int64  `json:"size,omitempty"`    // bytes of the result

	Usage     tasks.Usage `json:"usage,omitzero"`
	MovedTo   string      `json:"moved_to,omitempty"`
	MovedFrom string      `json:"moved_from,omitempty"`
}

// ID is the task's id.
func (r *TaskRow) ID() string { return tasks.TaskID(r.Job, r.N) }

// MaxMessage is how much of an error message the index has, in bytes.
const MaxMessage = 300

// JobRow is what lists show of a job.
type JobRow struct {
	ID        string            `json:"id"`
	Name      string            `json:"name,omitempty"`
	Owner     string            `json:"owner"`
	Labels    map[string]string `json:"labels,omitempty"`
	Created   time.Time         `json:"created"`
	N         int               `json:"n"`
	Array     bool              `json:"array,omitempty"`
	Queue     string            `json:"queue"`
	Lane      tasks.Lane        `json:"lane"`
	DependsOn []string          `json:"depends_on,omitempty"`
	NotBefore time.Time         `json:"not_before,omitzero"`

	Counts  map[tasks.State]int64 `json:"counts"`           // of its tasks; no zeros
	Started time.Time             `json:"started,omitzero"` // the first of its tasks
	Ended   time.Time             `json:"ended,omitzero"`   // the last of its tasks; zero while there are any that have not

	MaxRunning  int    `json:"max_running,omitempty"`
	RetriedFrom string `json:"retried_from,omitempty"`
	Dropped     int    `json:"dropped,omitempty"` // how many of N were deleted, or never came to be
	Deleted     bool   `json:"deleted,omitempty"` // its tasks are being deleted, and then it
}
