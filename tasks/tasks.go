// Package tasks is the task queue: durable R tasks on JetStream. This package holds
// what all its parts agree on: jobs, tasks and their states, which transition may
// follow which, and the names of subjects. It does no input or output.
//
// Users submit a Job: one call of R, or one for each of N elements. Each call is a
// Task with a record of its own, in the stream of records, under TaskSubject. The
// record decides: whoever changes a task writes its record on condition that nobody
// has in the meantime (compare and set on its revision). The message in the stream of
// work only says that a task may be claimed; it is acknowledged last, and sent anew
// where it got lost.
//
// Running code is at least once; the recorded result is once: a worker that has lost
// its lease cannot write any more, since the record has moved on.
package tasks

import "slices"

// State is where a task is in its life. The words are rrq's.
type State string

const (
	Pending    State = "PENDING"    // may be claimed, now or from NotBefore on
	Deferred   State = "DEFERRED"   // waits for those in Job.DependsOn
	Running    State = "RUNNING"    // a worker has it
	Complete   State = "COMPLETE"   // Result is its value
	Error      State = "ERROR"      // R signalled an error, see Failure
	Cancelled  State = "CANCELLED"  // by a user
	Died       State = "DIED"       // its process, worker or host did, too often
	Timeout    State = "TIMEOUT"    // it ran for longer than Job.Timeout
	Impossible State = "IMPOSSIBLE" // one that it depends on has failed
	Moved      State = "MOVED"      // it was retried: MovedTo is its successor

	// Missing is an answer, of which there is no record.
	Missing State = "MISSING"
)

// States are all that a record can have, in the order in which they are shown.
var States = []State{Pending, Deferred, Running, Complete, Error, Cancelled, Died, Timeout, Impossible, Moved}

// Known reports whether s is one of States.
func (s State) Known() bool { return slices.Contains(States, s) }

// Final reports whether nothing becomes of a task by itself any more. An IMPOSSIBLE
// one may go back to DEFERRED, when what it depends on is retried.
func (s State) Final() bool { return s.Known() && s != Pending && s != Deferred && s != Running }

// Failed reports whether a task came to an end without a value.
func (s State) Failed() bool {
	return s == Error || s == Cancelled || s == Died || s == Timeout || s == Impossible
}

// Retriable reports whether a task may be retried by a user. A DEFERRED successor
// takes the place of an IMPOSSIBLE one by itself.
func (s State) Retriable() bool {
	return s == Complete || s == Error || s == Cancelled || s == Died || s == Timeout
}

// follows are the states that may come after each, in the record of the same task.
var follows = map[State][]State{
	"":         {Pending, Deferred},
	Pending:    {Pending, Running, Cancelled, Deferred},
	Deferred:   {Pending, Impossible, Cancelled},
	Running:    {Running, Pending, Complete, Error, Cancelled, Died, Timeout, Impossible},
	Impossible: {Deferred},
	Complete:   {Moved}, Error: {Moved}, Cancelled: {Moved}, Died: {Moved}, Timeout: {Moved},
}

// May reports whether a record in state s may become one in state next. PENDING after
// PENDING is a change of queue, lane or admission; RUNNING after RUNNING is another
// attempt, or a lease taken over.
func (s State) May(next State) bool { return slices.Contains(follows[s], next) }
