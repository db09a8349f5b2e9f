package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// Outcome is what came of dealing with one id, in the order in which they were given.
type Outcome struct {
	ID    string      // of a task or a job, as given
	State tasks.State // of a task: now
	NewID string      // of what replaces it, after Retry
	Count int         // of a job: how many of its tasks were changed
	Err   error       // why not: ErrMissing, ErrForbidden, ConflictError
}

// asked are the ids of a call, taken apart. Jobs come before tasks are read.
type asked struct {
	outcomes []Outcome
	jobs     map[int]*tasks.Job  // by place in outcomes
	tasks    map[int]*tasks.Task // by place in outcomes
}

// ask reads what ids name, and says of which the asker may change nothing.
func (q *Queue) ask(ctx context.Context, who Who, ids []string) (*asked, error) {
	a := &asked{make([]Outcome, len(ids)), map[int]*tasks.Job{}, map[int]*tasks.Task{}}
	var keys []key
	var where, whole []int
	var jobs []string
	for i, id := range ids {
		a.outcomes[i] = Outcome{ID: id, State: tasks.Missing, Err: fmt.Errorf("%.60q: %w", id, ErrMissing)}
		k, err := keyOf(id)
		switch {
		case err != nil:
			a.outcomes[i].Err = fmt.Errorf("%w: %w", ErrMissing, err)
		case k.n > 0:
			keys, where = append(keys, k), append(where, i)
		default:
			jobs, whole = append(jobs, id), append(whole, i)
		}
	}
	found, err := q.jobsAt(ctx, jobs)
	if err != nil {
		return nil, err
	}
	for k, i := range whole {
		if j := found[k]; j != nil && who.sees(j.Owner) {
			a.outcomes[i].State = ""
			if a.outcomes[i].Err = who.may(j.Owner, j.ID); a.outcomes[i].Err == nil {
				a.jobs[i] = j
			}
		}
	}
	ts, err := q.tasksAt(ctx, keys)
	if err != nil {
		return nil, err
	}
	for k, i := range where {
		if t := ts[k]; t != nil && who.sees(t.Owner) {
			a.outcomes[i].State = t.State
			if a.outcomes[i].Err = who.may(t.Owner, ids[i]); a.outcomes[i].Err == nil {
				a.tasks[i] = t
			}
		}
	}
	return a, nil
}

func (w Who) may(owner, id string) error {
	if w.changes(owner) {
		return nil
	}
	return fmt.Errorf("%s belongs to %s: %w", id, owner, ErrForbidden)
}

// Cancel ends tasks that have not ended, and makes those IMPOSSIBLE that depend on them.
// Of a task that was retried it cancels the successor. A task that has ended is a
// ConflictError; of a job those that have ended are passed over.
func (q *Queue) Cancel(ctx context.Context, who Who, ids []string) ([]Outcome, error) {
	a, err := q.ask(ctx, who, ids)
	if err != nil {
		return nil, err
	}
	places, ts := a.inOrder()
	if err := q.follow(ctx, ts); err != nil {
		return nil, err
	}
	for k, err := range q.cancel(ctx, who.Owner, ts) {
		i := places[k]
		a.outcomes[i].State, a.outcomes[i].Err = ts[k].State, ended(ts[k], err)
	}
	for i, j := range a.jobs {
		n, err := q.cancelJob(ctx, who.Owner, j)
		if a.outcomes[i].Count = n; err != nil {
			return nil, err
		}
	}
	return a.outcomes, nil
}

// cancelJob cancels what has not ended of a job.
func (q *Queue) cancelJob(ctx context.Context, by string, j *tasks.Job) (n int, err error) {
	var queued []broker.Work
	left := j.N - j.Dropped.Len()
	err = q.eachOf(ctx, j.ID, 1, j.N, func(ts []*tasks.Task) error {
		left -= len(ts)
		if err := q.follow(ctx, ts); err != nil {
			return err
		}
		ts = slices.DeleteFunc(ts, func(t *tasks.Task) bool { return t.State.Final() })
		ws, errs := q.cancelRecords(ctx, by, ts)
		queued = append(queued, ws...)
		for k, err := range errs {
			switch {
			case err == nil:
				n++
			case ended(ts[k], err) != err || errors.Is(err, ErrMissing): // it has ended in the meantime
			default:
				return err
			}
		}
		return nil
	})
	// Tasks that are still being written are not cancelled, and keep their messages.
	q.withdrawWhole(ctx, map[string]bool{j.ID: left == 0}, queued)
	return n, err
}

// inOrder are the tasks asked for, and their places.
func (a *asked) inOrder() (places []int, ts []*tasks.Task) {
	for i := range a.outcomes {
		if t := a.tasks[i]; t != nil {
			places, ts = append(places, i), append(ts, t)
		}
	}
	return places, ts
}

// cancel cancels tasks, and takes back their messages.
func (q *Queue) cancel(ctx context.Context, by string, ts []*tasks.Task) []error {
	ws, errs := q.cancelRecords(ctx, by, ts)
	q.withdraw(ctx, ws)
	return errs
}

// cancelRecords cancels tasks, and returns what messages they had.
func (q *Queue) cancelRecords(ctx context.Context, by string, ts []*tasks.Task) ([]broker.Work, []error) {
	queued, workers := messages{}, map[*tasks.Task]string{}
	errs := q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		queued.note(t)
		delete(workers, t)
		if t.State == tasks.Running && t.Lease != nil {
			workers[t] = t.Lease.Worker
		}
		return true, t.Cancel(by, time.Now().UTC())
	})
	failpoint.Hit("cancel-records")
	running := map[string][]string{}
	for i, t := range ts {
		if w := workers[t]; w != "" && errs[i] == nil {
			running[w] = append(running[w], t.ID())
		}
	}
	q.tellCancelled(running)
	return queued.of(ts, errs), errs
}

// tellCancelled makes workers look at tasks of theirs at once; they do so sooner or later
// by themselves.
func (q *Queue) tellCancelled(running map[string][]string) {
	for worker, ids := range running {
		for part := range slices.Chunk(ids, chunk) {
			data, err := json.Marshal(tasks.Message{Type: "cancelled", Tasks: part})
			if err == nil {
				err = q.broker.Publish(tasks.MessageSubject(worker), data)
			}
			if err != nil {
				q.log.Warn("a worker has not been told of cancelled tasks", "worker", worker, "error", err)
			}
		}
	}
}

// messages are those that tasks had before they were changed.
type messages map[*tasks.Task]broker.Work

func (m messages) note(t *tasks.Task) {
	delete(m, t)
	if t.State == tasks.Pending && !t.Held {
		m[t] = work(t)
	}
}

// of are those of tasks that were changed.
func (m messages) of(ts []*tasks.Task, errs []error) (ws []broker.Work) {
	for i, t := range ts {
		if w, ok := m[t]; ok && errs[i] == nil {
			ws = append(ws, w)
		}
	}
	return ws
}

// withdraw takes messages back. Where that fails, workers pass them over, since the
// records say otherwise.
func (q *Queue) withdraw(ctx context.Context, ws []broker.Work) {
	if len(ws) == 0 {
		return
	}
	if err := q.broker.Withdraw(ctx, ws); err != nil {
		q.log.Warn("messages of tasks that wait no longer are left in their queues", "tasks", len(ws), "error", err)
	}
}

// ended makes a ConflictError of a transition that could not be.
func ended(t *tasks.Task, err error) error {
	var wrong *tasks.TransitionError
	if !errors.As(err, &wrong) {
		return err
	}
	if errors.Is(err, ErrMissing) {
		return err
	}
	return &ConflictError{t.ID(), t.State, "it has ended already"}
}

// few is up to how many messages of a job are taken back one by one.
const few = 50

// withdrawWhole takes back messages; of the jobs in whole there are to be none left.
func (q *Queue) withdrawWhole(ctx context.Context, whole map[string]bool, ws []broker.Work) {
	places := map[broker.Work][]broker.Work{} // by queue, lane and job
	var rest []broker.Work
	for _, w := range ws {
		if whole[w.Job] {
			at := broker.Work{Queue: w.Queue, Lane: w.Lane, Job: w.Job}
			places[at] = append(places[at], w)
		} else {
			rest = append(rest, w)
		}
	}
	for at, ws := range places {
		if len(ws) <= few {
			rest = append(rest, ws...)
		} else if err := q.broker.WithdrawJob(ctx, at.Queue, at.Lane, at.Job); err != nil {
			q.log.Warn("messages of tasks that wait no longer are left in their queue", "job", at.Job, "error", err)
		}
	}
	q.withdraw(ctx, rest)
}

// Purge cancels what waits in a queue: of an admin everybody's, else the asker's.
func (q *Queue) Purge(ctx context.Context, who Who, queue string) (cancelled int64, err error) {
	f := index.Filter{Queue: queue, States: []tasks.State{tasks.Pending, tasks.Deferred}, Limit: chunk, Oldest: true}
	if !who.Admin {
		f.Owner = who.Owner
	}
	if err := q.sync(ctx); err != nil {
		return 0, err
	}
	for {
		rows, next, err := q.index.Tasks(ctx, f)
		if err != nil {
			return cancelled, err
		}
		keys := make([]key, len(rows))
		for i, r := range rows {
			keys[i] = key{r.Job, r.N}
		}
		ts, err := q.tasksAt(ctx, keys)
		if err != nil {
			return cancelled, err
		}
		waiting := slices.DeleteFunc(present(ts), func(t *tasks.Task) bool {
			return t.Queue != queue || t.State != tasks.Pending && t.State != tasks.Deferred
		})
		for k, err := range q.cancel(ctx, who.Owner, waiting) {
			if err == nil {
				cancelled++
			} else if ended(waiting[k], err) == err && !errors.Is(err, ErrMissing) {
				return cancelled, err
			}
		}
		if f.After = next; next == "" {
			return cancelled, nil
		}
	}
}

// Move changes queue or lane of tasks that are PENDING or DEFERRED; "" and nil leave them.
func (q *Queue) Move(ctx context.Context, who Who, ids []string, queue string, lane *tasks.Lane) ([]Outcome, error) {
	if err := checkPlace(queue, lane); err != nil {
		return nil, err
	}
	a, err := q.ask(ctx, who, ids)
	if err != nil {
		return nil, err
	}
	places, ts := a.inOrder()
	_, errs := q.move(ctx, ts, queue, lane)
	for k, err := range errs {
		i := places[k]
		a.outcomes[i].State, a.outcomes[i].Err = ts[k].State, err
	}
	for i, j := range a.jobs {
		err := q.eachOf(ctx, j.ID, 1, j.N, func(ts []*tasks.Task) error {
			moved, errs := q.move(ctx, ts, queue, lane)
			a.outcomes[i].Count += len(moved)
			for _, err := range errs {
				var conflict *ConflictError
				if err != nil && !errors.As(err, &conflict) && !errors.Is(err, ErrMissing) {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return a.outcomes, nil
}

func checkPlace(queue string, lane *tasks.Lane) error {
	if queue != "" {
		if err := tasks.CheckName("a queue", queue); err != nil {
			return invalid("queue", "%v", err)
		}
	}
	if lane != nil && (*lane < tasks.Front || *lane >= tasks.Lanes) {
		return invalid("lane", "%d is none: they go from %d to %d", *lane, tasks.Front, tasks.Lanes-1)
	}
	return nil
}

// move changes the place of tasks, and says of which it was another.
func (q *Queue) move(ctx context.Context, ts []*tasks.Task, queue string, lane *tasks.Lane) (moved map[*tasks.Task]bool, errs []error) {
	queued := messages{}
	moved = map[*tasks.Task]bool{}
	errs = q.change(ctx, ts, func(t *tasks.Task) (bool, error) {
		delete(moved, t)
		if t.State != tasks.Pending && t.State != tasks.Deferred {
			return false, &ConflictError{t.ID(), t.State, "only what waits can be moved"}
		}
		queued.note(t)
		was := *t
		if queue != "" {
			t.Queue = queue
		}
		if lane != nil {
			t.Lane = *lane
		}
		if t.Queue == was.Queue && t.Lane == was.Lane {
			delete(queued, t)
			return false, nil
		}
		moved[t] = true
		return true, nil
	})
	err := q.push(ctx, ts)
	q.withdraw(ctx, queued.of(ts, errs))
	for i := range errs {
		if errs[i] == nil {
			errs[i] = err
		}
	}
	return moved, errs
}
