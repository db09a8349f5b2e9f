// Package index is the read model of the task queue: an SQLite file with a row for each
// task and job, by which they are listed, filtered, searched, counted and paged in
// milliseconds, also where there are a million of them. The queue and the server ask it;
// what is decided is decided on the records, since the index is a moment behind them
// (Sync waits for it).
//
// It is fed from the stream of records, with the stream's sequence number in the same
// transaction, so it is exact wherever it was cut off. It holds nothing that the stream
// does not: a file that is lost, damaged, of another version or of another stream is made
// anew, in seconds for a million tasks. It can be read meanwhile; Status says how far it is.
package index

import (
	"context"
	"errors"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

var errNotYet = errors.New("index: not there yet")

// Source is what the index is fed from: a broker.
type Source interface {
	// Feed calls f with every change after sequence number from, in order, until f fails
	// or ctx ends.
	Feed(ctx context.Context, from uint64, f func([]broker.Record) error) error
	LastSeq(ctx context.Context) (uint64, error)
	// Epoch tells the stream from another one.
	Epoch(ctx context.Context) (string, error)
}

// Index is safe for concurrent use.
type Index struct{}

// Open opens the file, or makes it. One that is damaged or of another version is dropped.
func Open(path string) (*Index, error) { return nil, errNotYet }

// Close waits for readers. Run must have ended.
func (x *Index) Close() error { return nil }

// Run feeds the index until ctx ends. It is called once.
func (x *Index) Run(ctx context.Context, s Source) error { return errNotYet }

// Sync waits until the change with this sequence number can be read.
func (x *Index) Sync(ctx context.Context, seq uint64) error { return errNotYet }

// Status is how far the index is.
type Status struct {
	Path       string    `json:"path"`
	Seq        uint64    `json:"seq"`            // of the last change that can be read
	Last       uint64    `json:"last"`           // of the last change in the stream when Run began, or seen since
	Rebuilding bool      `json:"rebuilding"`     // it is made anew: what is not read yet is missing from all answers
	Since      time.Time `json:"since,omitzero"` // of that
	Why        string    `json:"why,omitempty"`  // of that
	Tasks      int64     `json:"tasks"`
	Jobs       int64     `json:"jobs"`
}

// Status reports how far the index is.
func (x *Index) Status() Status { return Status{} }

// Event is a change of a task.
type Event struct {
	// Task is as it is now; its state is MISSING where its record has gone. Others have
	// it too: it must not be changed.
	Task *tasks.Task
	// Gap says that events were dropped before this one, because they were not read in
	// time: look at the tasks again. Task is nil.
	Gap bool
}

// Subscribe tells of changes for which f is true, as soon as they arrive, which is
// before queries show them. f must be quick. With jobs, only of their tasks: that costs
// nothing for the changes of others. The channel is closed by stop.
func (x *Index) Subscribe(f func(*tasks.Task) bool, jobs ...string) (events <-chan Event, stop func()) {
	return nil, func() {}
}

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
}

// Tasks is a page of tasks, by submission, and the cursor of the next page: "" where
// there is none. A page may have fewer rows than Filter.Limit, or none, and still a
// next one, where few of very many tasks match.
func (x *Index) Tasks(ctx context.Context, f Filter) (rows []TaskRow, next string, err error) {
	return nil, "", errNotYet
}

// Jobs is a page of jobs, as Tasks is one of tasks.
func (x *Index) Jobs(ctx context.Context, f Filter) (rows []JobRow, next string, err error) {
	return nil, "", errNotYet
}

// Counts is how many tasks there are by state. It reads counters where at most one of
// Owner and Job, Queue and States are set, and counts rows otherwise.
func (x *Index) Counts(ctx context.Context, f Filter) (map[tasks.State]int64, error) {
	return nil, errNotYet
}

// Job is a job with its counts; false where there is none.
func (x *Index) Job(ctx context.Context, id string) (JobRow, bool, error) {
	return JobRow{}, false, errNotYet
}

// Position is how many tasks are claimed before this one, if nothing changes: those in
// lanes before its own, and those that came into its lane before it. It is -1 for a
// task that is not PENDING, or is held.
func (x *Index) Position(ctx context.Context, t TaskRow) (ahead int64, err error) {
	return 0, errNotYet
}

// QueueStat is what is in a queue.
type QueueStat struct {
	Pending  int64 `json:"pending"` // with those that are held
	Held     int64 `json:"held"`
	Deferred int64 `json:"deferred"`
	Running  int64 `json:"running"`
	Bytes    int64 `json:"bytes"` // of arguments of those PENDING and DEFERRED
}

// QueueStats is what is in each queue that has tasks, of whatever state.
func (x *Index) QueueStats(ctx context.Context) (map[string]QueueStat, error) {
	return nil, errNotYet
}

// OwnerStat is what an owner has.
type OwnerStat struct {
	Counts  map[tasks.State]int64 `json:"counts"`
	Held    int64                 `json:"held"`    // of those PENDING
	Jobs    int64                 `json:"jobs"`    // all
	Running int64                 `json:"running"` // jobs with tasks that run
	Bytes   int64                 `json:"bytes"`   // of arguments and results; a value used twice counts twice
}

// OwnerStats is what an owner has; the zero OwnerStat where that is nothing.
func (x *Index) OwnerStats(ctx context.Context, owner string) (OwnerStat, error) {
	return OwnerStat{}, errNotYet
}

// Owners are all that have tasks or jobs, sorted.
func (x *Index) Owners(ctx context.Context) ([]string, error) { return nil, errNotYet }

// Children are the DEFERRED and IMPOSSIBLE tasks whose job depends on this task or job;
// with a task's id also those that depend on its job.
func (x *Index) Children(ctx context.Context, id string) ([]string, error) { return nil, errNotYet }

// Due are held tasks whose NotBefore has come, the first of them first.
func (x *Index) Due(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return nil, errNotYet
}

// Held are tasks of an owner, or of a job, or of all where both are "", that wait for a
// limit and not for their NotBefore: by lane, then by submission.
func (x *Index) Held(ctx context.Context, owner, job string, now time.Time, limit int) ([]TaskRow, error) {
	return nil, errNotYet
}

// HeldOwners are those of whom Held has tasks, sorted.
func (x *Index) HeldOwners(ctx context.Context, now time.Time) ([]string, error) {
	return nil, errNotYet
}

// Orphans are PENDING tasks that are not held and whose records have not changed since
// before: if they have no message in the stream of work, it got lost.
func (x *Index) Orphans(ctx context.Context, before time.Time, limit int) ([]TaskRow, error) {
	return nil, errNotYet
}

// RunningOf are the tasks that run on a worker.
func (x *Index) RunningOf(ctx context.Context, worker string) ([]string, error) {
	return nil, errNotYet
}

// Expired are tasks that ended longer ago than their job's ResultTTL, the longest first.
func (x *Index) Expired(ctx context.Context, now time.Time, limit int) ([]string, error) {
	return nil, errNotYet
}

// Deferred are DEFERRED and IMPOSSIBLE tasks by submission, from after on.
func (x *Index) Deferred(ctx context.Context, after string, limit int) (ids []string, next string, err error) {
	return nil, "", errNotYet
}

// Incomplete are jobs that have fewer tasks than they should, and were made before: a
// submission that was cut off, or tasks that have been deleted.
func (x *Index) Incomplete(ctx context.Context, before time.Time, limit int) ([]JobRow, error) {
	return nil, errNotYet
}

// BlobRefs is how often those of refs that are used still are.
func (x *Index) BlobRefs(ctx context.Context, refs []string) (map[string]int64, error) {
	return nil, errNotYet
}
