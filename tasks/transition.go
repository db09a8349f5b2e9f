package tasks

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// TransitionError says that a task cannot go where it was sent.
type TransitionError struct {
	Task     string
	From, To State
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("task %s is %s and cannot become %s", e.Task, e.From, e.To)
}

// move changes the state, where that may be.
func (t *Task) move(next State) error {
	if !t.State.May(next) {
		return &TransitionError{t.ID(), t.State, next}
	}
	t.State = next
	return nil
}

// moveFrom is move, where only one state will do.
func (t *Task) moveFrom(state, next State) error {
	if t.State != state {
		return &TransitionError{t.ID(), t.State, next}
	}
	return t.move(next)
}

// New is the record of task n of j as it is submitted. One that may not run at once, or
// of which only some may run at a time, is Held.
func (j *Job) New(n int) *Task {
	t := &Task{
		Job: j.ID, N: n, State: Pending, Owner: j.Owner, Queue: j.Queue, Lane: j.Lane,
		Submitted: j.Created, NotBefore: j.NotBefore,
	}
	if j.RetriedFrom != "" {
		t.Origin, t.RootN = j.RetriedFrom, j.Numbers.At(n)
		t.MovedFrom = TaskID(j.RetriedFrom, t.RootN)
		if j.Origin != "" {
			t.Origin, t.RootN = j.Origin, j.OriginNumbers.At(n)
		}
	}
	if len(j.DependsOn) > 0 {
		t.State = Deferred
	} else {
		t.Held = j.Holds(j.Created)
	}
	return t
}

// Holds reports whether a task of j that is PENDING at now has to be admitted first,
// since its time has not come or a limit of the job is in the way.
func (j *Job) Holds(now time.Time) bool { return j.MaxRunning > 0 || j.NotBefore.After(now) }

// Claim gives the task to a worker: its next attempt begins. A task that RUNS already
// is taken from its former worker first, which has been lost: see Lose.
func (t *Task) Claim(l Lease) error {
	if err := t.moveFrom(Pending, Running); err != nil {
		return err
	}
	t.Attempt++
	t.Lease, t.Started, t.Ended = &l, l.Since, time.Time{}
	t.Failure, t.Warnings, t.Usage, t.NotBefore, t.Held = nil, nil, Usage{}, time.Time{}, false
	return nil
}

// Outcome is how an attempt ended.
type Outcome struct {
	Cause    string // see CauseDone
	Result   Value  // CauseDone
	Failure  *Failure
	Warnings []string
	Usage    Usage
	Pid      int
}

// Finish ends the running attempt: with a final state, or, where j.Retry has attempts
// left for such an end, PENDING again from NotBefore on.
func (t *Task) Finish(j *Job, o Outcome, now time.Time) error {
	after := *t
	again, next := after.tally(j, &o)
	if again {
		next = Pending
	}
	if err := t.moveFrom(Running, next); err != nil {
		return err
	}
	after.State = next
	*t = after
	past := Attempt{Started: t.Started, Ended: now, Cause: o.Cause, Pid: o.Pid}
	if l := t.Lease; l != nil {
		past.Worker, past.Host = l.Worker, l.Host
		if past.Pid == 0 {
			past.Pid = l.Pid
		}
	}
	if o.Failure != nil {
		past.Message = shortened(o.Failure.Message, 500)
	}
	t.Past = append(t.Past, past)
	t.Past = t.Past[max(0, len(t.Past)-MaxPast):]
	t.Lease, t.Ended = nil, now
	t.Result, t.Failure, t.Warnings, t.Usage = o.Result, o.Failure, o.Warnings, o.Usage
	if again {
		t.NotBefore = now.Add(j.Retry.pause(t, o.Cause))
	}
	return nil
}

// tally counts the end of an attempt, and says whether there is another one, and what
// the task is where there is none.
func (t *Task) tally(j *Job, o *Outcome) (again bool, final State) {
	r := j.Retry
	switch o.Cause {
	case CauseDone:
		return false, Complete
	case CauseCancelled:
		return false, Cancelled
	case CauseParent:
		return false, Impossible
	case CauseError, CauseStart:
		t.Errors++
		return t.Errors < max(r.Errors, 1) && r.covers(o.Failure), Error
	case CauseTimeout:
		t.Timeouts++
		return t.Timeouts < max(r.Timeouts, 1), Timeout
	case CauseWorker, CauseValues: // nobody's fault: it does not count
		return true, Died
	default:
		t.Lost++
		limit := r.Lost
		if limit == 0 {
			limit = 3
			if o.Cause == CauseCPU || o.Cause == CauseMemory && j.Memory > 0 { // it would be over its limit again
				limit = 1
			}
		}
		return t.Lost < limit, Died
	}
}

func (r Retry) covers(f *Failure) bool {
	if len(r.Classes) == 0 || f == nil {
		return true
	}
	return slices.ContainsFunc(f.Classes, func(c string) bool { return slices.Contains(r.Classes, c) })
}

// valuesPause is how long a task rests whose values could not be reached, the first time;
// then twice as long each time, to maxValuesPause: where the store refuses for good, what R
// does for nothing is little.
const (
	valuesPause    = 5 * time.Second
	maxValuesPause = 5 * time.Minute
)

// pause is how long a task rests before its next attempt.
func (r Retry) pause(t *Task, cause string) time.Duration {
	switch cause {
	case CauseWorker:
		return 0
	case CauseValues: // a minute has been waited, and others may not have to
		rest := valuesPause
		for i := len(t.Past) - 2; i >= 0 && t.Past[i].Cause == CauseValues && rest < maxValuesPause; i-- {
			rest *= 2
		}
		return min(rest, maxValuesPause)
	case CauseError, CauseStart, CauseTimeout:
	default:
		if t.Lost == 1 {
			return 0
		}
	}
	delay, most := r.Delay, r.MaxDelay
	if delay == 0 {
		delay = time.Second
	}
	if most == 0 {
		most = 5 * time.Minute
	}
	for n := t.Errors + t.Timeouts + t.Lost; n > 1 && delay < most; n-- {
		delay *= 2
	}
	return min(delay, most)
}

// Lose ends the running attempt of a worker that has not renewed its lease: the task is
// PENDING again, or DIED where it has been lost too often.
func (t *Task) Lose(j *Job, now time.Time) error {
	message := "the worker has not been heard of"
	if l := t.Lease; l != nil {
		message = fmt.Sprintf("worker %s on %s has not been heard of", l.Worker, l.Host)
	}
	o := Outcome{Cause: CauseHost, Failure: &Failure{Cause: CauseHost, Message: message}}
	if t.Lease != nil {
		o.Pid = t.Lease.Pid
	}
	return t.Finish(j, o, now)
}

// Take is what a worker does to the record of a task whose message it has been given:
// it claims one that is PENDING, and takes a RUNNING one from its former worker, whose
// message would not have come again had it renewed its lease (so only after a
// redelivery). With claimed false and no error the record is to be written too, and the
// task is not to be run now: it DIED, or rests until NotBefore.
func (t *Task) Take(j *Job, l Lease, now time.Time) (claimed bool, err error) {
	if t.State == Running {
		if err := t.Lose(j, now); err != nil || t.State != Pending || t.NotBefore.After(now) {
			return false, err
		}
	}
	if err := t.Claim(l); err != nil {
		return false, err
	}
	return true, nil
}

// Cancel ends a task that has not ended; by names who wanted it.
func (t *Task) Cancel(by string, now time.Time) error {
	was := t.State
	if err := t.move(Cancelled); err != nil {
		return err
	}
	if was == Running {
		past := Attempt{Started: t.Started, Ended: now, Cause: CauseCancelled}
		if l := t.Lease; l != nil {
			past.Worker, past.Host, past.Pid = l.Worker, l.Host, l.Pid
		}
		t.Past = append(t.Past, past)
		t.Past = t.Past[max(0, len(t.Past)-MaxPast):]
	}
	t.Lease, t.Ended, t.Held, t.By = nil, now, false, by
	t.Failure = &Failure{Cause: CauseCancelled, Message: "cancelled by " + by}
	return nil
}

// Release makes a DEFERRED task PENDING: all that it depends on is COMPLETE. It goes
// to the front of its queue, since it has waited.
func (t *Task) Release() error {
	if err := t.moveFrom(Deferred, Pending); err != nil {
		return err
	}
	t.Lane = Front
	return nil
}

// Forbid makes a DEFERRED task IMPOSSIBLE because of those that failed, the first of which,
// where gone, was deleted or has expired.
func (t *Task) Forbid(failed []string, gone bool, now time.Time) error {
	if err := t.moveFrom(Deferred, Impossible); err != nil {
		return err
	}
	if len(failed) > 5 {
		failed = failed[:5]
	}
	t.Ended = now
	why := "failed"
	if gone {
		why = "is no more: it was deleted, or its result has expired"
	}
	t.Failure = &Failure{Cause: CauseParent, Message: fmt.Sprintf("it depends on %s, which %s", failed[0], why), Tasks: failed}
	return nil
}

// Allow makes an IMPOSSIBLE task DEFERRED: what it depends on was retried.
func (t *Task) Allow() error {
	if err := t.moveFrom(Impossible, Deferred); err != nil {
		return err
	}
	t.Ended, t.Failure = time.Time{}, nil
	return nil
}

// Move marks a task that to replaces.
func (t *Task) Move(to, by string) error {
	if err := t.move(Moved); err != nil {
		return err
	}
	t.MovedTo, t.By = to, by
	return nil
}

func shortened(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…" // the cut may be within a character
}
