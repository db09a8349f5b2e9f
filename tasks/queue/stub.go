package queue

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

var errNotYet = errors.New("queue: not there yet")

type jobCache struct{}
type hub struct{}
type reservations struct{}

// Open starts the chores and what feeds waiters; x must be run by the caller.
func Open(ctx context.Context, b *broker.Broker, s *blob.Store, x *index.Index, o Options) (*Queue, error) {
	return nil, errNotYet
}

// Close ends the chores and all that waits.
func (q *Queue) Close() error { return nil }

// Submission is what is submitted.
type Submission struct {
	// Job has the fields that a user may set: all but Owner, Created, N, Over.Blocks,
	// RetriedFrom and what belongs to it, Dropped and Deleted. ID may be the
	// submitter's own; the same one again is the same job. Values larger than
	// tasks.MaxInline become blobs. Over.PerBlock may be 0.
	Job tasks.Job
	// Array says that there is a task for each element. Elements are R streams, in
	// memory, or yielded by Each, which may be as many as memory does not hold.
	Array    bool
	Elements [][]byte
	Each     iter.Seq2[[]byte, error]
}

// Submit keeps a job with its tasks. existing says that the key or id was known, and
// the job is that one. Errors are InvalidError, RefusedError, or of the engine.
func (q *Queue) Submit(ctx context.Context, who Who, s *Submission) (j *tasks.Job, existing bool, err error) {
	return nil, false, errNotYet
}

// Get are the records of tasks, in the order of ids; nil for what is missing.
func (q *Queue) Get(ctx context.Context, who Who, ids ...string) ([]*tasks.Task, error) {
	return nil, errNotYet
}

// Follow is Get, but of a task that was retried it has the last successor.
func (q *Queue) Follow(ctx context.Context, who Who, ids ...string) ([]*tasks.Task, error) {
	return nil, errNotYet
}

// Job is the record of a job. It must not be changed.
func (q *Queue) Job(ctx context.Context, who Who, id string) (*tasks.Job, error) {
	return nil, errNotYet
}

// JobNamed is the newest job of that name, of the asker where he has one.
func (q *Queue) JobNamed(ctx context.Context, who Who, name string) (*tasks.Job, error) {
	return nil, errNotYet
}

// Row is a job as listings have it, with counts by state.
func (q *Queue) Row(ctx context.Context, who Who, id string) (index.JobRow, error) {
	return index.JobRow{}, errNotYet
}

// Names are those of the elements of a job; nil where they have none.
func (q *Queue) Names(ctx context.Context, j *tasks.Job) ([]string, error) { return nil, errNotYet }

// Jobs, Tasks and Counts list and count. They see all that the asker's calls have
// changed before. A Filter.Owner other than the asker's finds nothing for who may not
// see it; "" is all that he may see.
func (q *Queue) Jobs(ctx context.Context, who Who, f index.Filter) ([]index.JobRow, string, error) {
	return nil, "", errNotYet
}
func (q *Queue) Tasks(ctx context.Context, who Who, f index.Filter) ([]index.TaskRow, string, error) {
	return nil, "", errNotYet
}
func (q *Queue) Counts(ctx context.Context, who Who, f index.Filter) (map[tasks.State]int64, error) {
	return nil, errNotYet
}

// Position is how many tasks stand before a PENDING one in its queue.
func (q *Queue) Position(ctx context.Context, who Who, id string) (int64, error) {
	return 0, errNotYet
}

// Outcome is what came of dealing with one id, in the order in which they were given.
type Outcome struct {
	ID    string      // of a task or a job, as given
	State tasks.State // of a task: now
	NewID string      // of what replaces it, after Retry
	Count int         // of a job: how many of its tasks were changed
	Err   error       // why not: ErrMissing, ErrForbidden, ConflictError
}

// Cancel ends tasks that have not ended, and makes those IMPOSSIBLE that depend on them.
// Of a task that was retried it cancels the successor. A task that has ended is a
// ConflictError; of a job those that have ended are passed over.
func (q *Queue) Cancel(ctx context.Context, who Who, ids []string) ([]Outcome, error) {
	return nil, errNotYet
}

// RetryOptions is what is changed; zero fields stay as they were.
type RetryOptions struct {
	Queue   string
	Lane    *tasks.Lane
	Memory  int64
	Timeout time.Duration
}

// Retry runs tasks again: a new task takes the place of each, and the old one is MOVED.
// Tasks of one job are retried as one new job. Of a job all tasks are retried that have
// failed (what is COMPLETE only where it is named as a task). One that was retried
// before answers with the successor, where that has not failed too.
func (q *Queue) Retry(ctx context.Context, who Who, ids []string, o RetryOptions) ([]Outcome, error) {
	return nil, errNotYet
}

// Move changes queue or lane of tasks that are PENDING or DEFERRED.
func (q *Queue) Move(ctx context.Context, who Who, ids []string, queue string, lane *tasks.Lane) ([]Outcome, error) {
	return nil, errNotYet
}

// Delete removes tasks with those that they replaced or that replaced them, and their
// logs; jobs whole. One that is RUNNING is a ConflictError: cancel it first.
func (q *Queue) Delete(ctx context.Context, who Who, ids []string) ([]Outcome, error) {
	return nil, errNotYet
}

// Until says when a wait is over.
type Until string

const (
	All        Until = "all"         // every task has ended
	Any        Until = "any"         // one of ids has ended: a task, or all tasks of a job
	FirstError Until = "first_error" // a task has failed, or all have ended
)

// WaitResult is how far it is.
type WaitResult struct {
	Done    bool
	Total   int64
	States  map[tasks.State]int64
	Ended   []string // of ids, at most 1000
	Failed  []string // tasks, at most 100
	Missing []string // of ids, at most 100
}

// Wait returns when what until says has come, or, with Done false and no error, when
// ctx ends. Tasks that were retried are followed. Missing ids count as ended.
func (q *Queue) Wait(ctx context.Context, who Who, ids []string, until Until) (WaitResult, error) {
	return WaitResult{}, errNotYet
}

// Event is a change of a task; with Gap changes were missed, and Task is nil.
type Event struct {
	Task *tasks.Task // not to be changed
	Gap  bool
}

// Scope says whose events: all that the asker may see, of a job, of a task, of a queue.
type Scope struct {
	Owner, Job, Queue string
	N                 int // of Job; 0 is all
}

// Events yields changes from now on, until ctx ends. The channel is closed then.
func (q *Queue) Events(ctx context.Context, who Who, s Scope) (<-chan Event, error) {
	return nil, errNotYet
}

// Result is a task that is COMPLETE, or the last that replaced it; its value is Open's.
func (q *Queue) Result(ctx context.Context, who Who, id string) (*tasks.Task, error) {
	return nil, errNotYet
}

// Open reads a value, wherever it is.
func (q *Queue) Open(ctx context.Context, v tasks.Value) (io.ReadCloser, int64, error) {
	return nil, 0, errNotYet
}

// Bytes is a whole value of at most max bytes.
func (q *Queue) Bytes(ctx context.Context, v tasks.Value, max int64) ([]byte, error) {
	return nil, errNotYet
}

// ResultsOptions say which results, and in which order.
type ResultsOptions struct {
	From, To int  // numbers of tasks, from 1; To 0 is the last
	Follow   bool // waits for those that have not ended; else they are passed over
	AsEnded  bool // in the order in which they ended; else by number
}

// Results calls f with the tasks of a job that have ended, those that were retried by
// their last successor, with the number in this job beside it, until it fails.
func (q *Queue) Results(ctx context.Context, who Who, job string, o ResultsOptions, f func(n int, t *tasks.Task) error) error {
	return errNotYet
}

// QueueInfo is a queue: its settings, and what is in it.
type QueueInfo struct {
	tasks.QueueConfig
	Pending, Deferred, Running, Bytes int64
	Workers                           int
}

// Queues are those that have settings, tasks or workers, by name.
func (q *Queue) Queues(ctx context.Context) ([]QueueInfo, error) { return nil, errNotYet }

// Queue is one; of a queue nobody has used all is zero.
func (q *Queue) Queue(ctx context.Context, name string) (QueueInfo, error) {
	return QueueInfo{}, errNotYet
}

// SetQueue changes the settings of a queue by f, on what they are now. Admins only.
func (q *Queue) SetQueue(ctx context.Context, who Who, name string, f func(*tasks.QueueConfig)) (tasks.QueueConfig, error) {
	return tasks.QueueConfig{}, errNotYet
}

// Purge cancels what waits in a queue: of an admin everybody's, else the asker's.
func (q *Queue) Purge(ctx context.Context, who Who, queue string) (cancelled int64, err error) {
	return 0, errNotYet
}

// OwnerInfo are limits, and what there is.
type OwnerInfo struct {
	tasks.OwnerConfig
	States map[tasks.State]int64
	Bytes  int64
}

// Owners are those that have limits or tasks, by name: of an asker who may not see
// others, himself.
func (q *Queue) Owners(ctx context.Context, who Who) ([]OwnerInfo, error) { return nil, errNotYet }
func (q *Queue) Owner(ctx context.Context, who Who, owner string) (OwnerInfo, error) {
	return OwnerInfo{}, errNotYet
}

// SetOwner changes limits by f, on what they are now. Admins only.
func (q *Queue) SetOwner(ctx context.Context, who Who, owner string, f func(*tasks.OwnerConfig)) (tasks.OwnerConfig, error) {
	return tasks.OwnerConfig{}, errNotYet
}

// Environments are the newest versions, by name.
func (q *Queue) Environments(ctx context.Context) ([]tasks.Environment, error) {
	return nil, errNotYet
}

// Environment is one, of the newest version where version is 0.
func (q *Queue) Environment(ctx context.Context, name string, version int) (tasks.Environment, error) {
	return tasks.Environment{}, errNotYet
}

// SetEnvironment makes the next version; the same content as the newest makes none. It
// belongs to who made it first, and others may not change it.
func (q *Queue) SetEnvironment(ctx context.Context, who Who, e tasks.Environment) (tasks.Environment, error) {
	return tasks.Environment{}, errNotYet
}
func (q *Queue) DeleteEnvironment(ctx context.Context, who Who, name string) error { return errNotYet }

// WorkerConfigs are all, by name. Admins change them.
func (q *Queue) WorkerConfigs(ctx context.Context) ([]tasks.WorkerConfig, error) {
	return nil, errNotYet
}
func (q *Queue) WorkerConfig(ctx context.Context, name string) (tasks.WorkerConfig, error) {
	return tasks.WorkerConfig{}, errNotYet
}
func (q *Queue) SetWorkerConfig(ctx context.Context, who Who, c tasks.WorkerConfig) error {
	return errNotYet
}
func (q *Queue) DeleteWorkerConfig(ctx context.Context, who Who, name string) error {
	return errNotYet
}

// Workers are those that are alive, and, as LOST, those that have tasks and are not; by id.
func (q *Queue) Workers(ctx context.Context) ([]tasks.Worker, error) { return nil, errNotYet }

// Message sends one to a worker and returns its reply, both as the worker has them.
// ErrMissing where there is no such worker.
func (q *Queue) Message(ctx context.Context, worker string, message []byte) (reply []byte, err error) {
	return nil, errNotYet
}

// LogFunc is called with each message of a log, as the worker wrote it.
type LogFunc = broker.LogFunc

// Log reads what a task has printed, from after the sequence number after on (0 is the
// beginning); follow waits for more until the task has ended.
func (q *Queue) Log(ctx context.Context, who Who, id string, after uint64, follow bool, f LogFunc) error {
	return errNotYet
}
