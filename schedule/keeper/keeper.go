// Package keeper fires schedules: of the servers of a cluster one at a time leads, finds
// out what is due, has it run, and keeps the history. Package server is its user.
//
// What is promised: each scheduled time becomes one run, whichever server leads and
// wherever it dies. What a run does is begun again by another server where its own is
// gone, with the same id and attempt, see Work.
package keeper

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/trace"
)

// Work is what a schedule runs: a job of the task queue, or a pipeline.
type Work interface {
	// Run does one attempt and returns when it has ended; nil where it ended well. It is
	// stopped by the end of ctx, whose cause (context.Cause) is ErrCanceled, ErrTimeout
	// or ErrHandover; only after the last does another Run go on with it, and what was
	// begun elsewhere, such as a job of the queue, is to be left as it is. The context
	// may have ended at the start already: then what was begun before is to be ended.
	//
	// tell, which may be called at any time, keeps what is known so far in the run's
	// record. Where a server that ran it is gone, another calls it again with the same ID
	// and Attempt, and with what was told: it goes on, or begins again, and must not do
	// twice what was done. log takes lines of the run's log. run must not be changed.
	Run(ctx context.Context, run *schedule.Run, tell func(schedule.Outcome), log func(line string)) error
}

// Causes that the context of Work.Run ends with.
var (
	ErrCanceled = errors.New("the run was cancelled")
	ErrTimeout  = errors.New("the run has taken longer than its timeout")
	ErrHandover = errors.New("the server is leaving the run to another")
)

// Entry is a schedule, as configured. One with neither cron nor after runs by hand.
type Entry struct {
	Name   string
	Timing schedule.Timing
	Kind   string // pipeline, function, script or expression
	From   string // the file that defines it
	Owner  string
	Work   Work
}

// Options are those of a Keeper.
type Options struct {
	Server  string           // id of this server; "" makes one
	Notify  func(Event)      // is told what happens to runs, at least once; nil for none. It must not block for long.
	Now     func() time.Time // the clock; nil is time.Now
	Changed func()           // is called after each change of what List and Runs tell; nil for none. It must not block.
	Tracer  *trace.Tracer    // begins a span for each attempt; nil traces nothing
	Log     *slog.Logger     // nil discards
}

// Event is what somebody may want to be told of.
type Event struct {
	Kind     string // failure, recovery or late
	Schedule Schedule
	Run      schedule.Run
}

// Kinds of events.
const (
	Failure  = "failure"  // a run has failed, and is not tried again
	Recovery = "recovery" // a run has ended well, after one that had failed
	Late     = "late"     // a run has not ended so long after its time
)

// Schedule is a schedule with what has become of it.
type Schedule struct {
	Name, Kind, From, Owner string
	Timing                  schedule.Timing
	Gone                    bool // no longer configured; only its history is left
	Paused                  bool
	PausedBy                string        // "" where the configuration says so
	Next                    time.Time     // zero where nothing is due any more
	Last                    *schedule.Run // the newest that has begun, or ended
	Running, Waiting        int           // runs
	Failing                 bool          // the last run that ended has failed
	Backfills               []Range       // under way
}

// Range is a range of times that are made up for, oldest first and one at a time.
type Range struct {
	ID     string         `json:"id"`
	Cause  schedule.Cause `json:"cause"` // backfill or catch_up
	By     string         `json:"by,omitempty"`
	From   time.Time      `json:"from"`            // from this time on
	To     time.Time      `json:"to"`              // before this one
	Cursor time.Time      `json:"cursor"`          // what is before has been begun
	Times  int            `json:"times,omitempty"` // how many there are in it; 0 where nobody has counted
	// What its times follow from: those of a schedule that changes meanwhile are others.
	Cron     string           `json:"cron,omitempty"`
	TimeZone string           `json:"time_zone,omitempty"`
	Start    schedule.Instant `json:"start,omitempty"`
}

// Filter says which runs are listed.
type Filter struct {
	Schedule     string // "" is all
	Owner        string // of the schedule; "" is all
	States       []schedule.State
	Since, Until time.Time // scheduled then or later; before
	After        string    // goes on after the run with this id
	Limit        int       // 0 is 100
}

// ErrMissing says that there is no such schedule or run.
var ErrMissing = errors.New("not found")

// ConflictError says that it is in no state for what was asked.
type ConflictError struct{ Reason string }

func (e *ConflictError) Error() string { return e.Reason }
