// Package schedule says when something runs by the clock: cron expressions, time zones
// and both changes of the clock, what to do where a run is still under way or a time was
// missed, and the records that are kept of schedules and their runs. It has no clock of
// its own and no input or output: package schedule/keeper fires.
package schedule

import (
	"encoding/json"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// Timing is when something runs: the schedule block of a pipeline, and part of every
// entry of schedules in rpipe.yaml.
type Timing struct {
	Cron      string           `yaml:"cron" doc:"When: five fields (minute hour day month weekday), or six with seconds before them; @hourly, @daily, @weekly, @monthly, @yearly; or @every 90s." example:"30 2 * * *"`
	TimeZone  string           `yaml:"time_zone" default:"UTC" doc:"The zone that the fields are in, such as Europe/Berlin; local is the machine's."`
	Overlap   string           `yaml:"overlap" default:"skip" enum:"skip|queue|cancel_old|allow" doc:"What becomes of a time that comes while the run before is still under way."`
	CatchUp   string           `yaml:"catch_up" default:"last" enum:"none|last|all" doc:"Which of the times that were missed, as no server was up, are made up for."`
	Jitter    configs.Duration `yaml:"jitter" default:"0" doc:"Runs begin so long after their time at most: always the same share of it for one schedule, by its name, so that many at one time spread out."`
	Retries   int              `yaml:"retries" default:"0" min:"0" max:"100" doc:"How often a run that failed is tried again."`
	Backoff   configs.Duration `yaml:"backoff" default:"1m" doc:"Wait before the first of these; it doubles each time, up to an hour."`
	Timeout   configs.Duration `yaml:"timeout" default:"0" doc:"A run is stopped after so long, and has failed. 0 is no limit."`
	After     []string         `yaml:"after" scalar:"true" doc:"Schedules whose run must end well before: with it and no cron, it runs each time when all of them have. It has their scheduled time."`
	Start     Instant          `yaml:"start" doc:"Nothing is due before."`
	End       Instant          `yaml:"end" doc:"Nothing is due from then on."`
	Paused    bool             `yaml:"paused" doc:"Nothing is due until it is resumed."`
	LateAfter configs.Duration `yaml:"late_after" default:"0" doc:"A run that has not ended well so long after its time is late, which is notified. 0 is never."`
	Keep      Keep             `yaml:"keep" doc:"How long the history of runs is kept."`
	Notify    []string         `yaml:"notify" scalar:"true" doc:"Names of notify in rpipe.yaml that are told of failure, recovery and lateness."`
}

// Keep is how much of the history of a schedule is kept.
type Keep struct {
	Runs int              `yaml:"runs" default:"100" min:"1" doc:"Newest runs that are kept, at least those under way."`
	Age  configs.Duration `yaml:"age" default:"90d" doc:"Runs that ended longer ago go. 0 is no limit."`
}

// State is what a run of a schedule is in.
type State string

// States of runs. A run ends in one of those from Complete on.
const (
	Waiting  State = "WAITING"  // for its time, for a run before it, or for others that it comes after
	Running  State = "RUNNING"  // under way
	Retrying State = "RETRYING" // failed, and is tried again
	Complete State = "COMPLETE"
	Error    State = "ERROR"
	Canceled State = "CANCELLED"
	TimedOut State = "TIMEOUT"
	Died     State = "DIED"    // the server that ran it is gone, and it is not tried again
	Skipped  State = "SKIPPED" // the run before was under way, or what it comes after failed
	Missed   State = "MISSED"  // no server was up, and catch_up does not make up for it
)

// Final reports whether a run has ended.
func (s State) Final() bool {
	switch s {
	case Waiting, Running, Retrying:
		return false
	}
	return true
}

// Failed reports whether a run has ended badly by itself.
func (s State) Failed() bool { return s == Error || s == TimedOut || s == Died }

// Cause is why there is a run.
type Cause string

// Causes of runs.
const (
	ByClock    Cause = "schedule"
	ByCatchUp  Cause = "catch_up"
	ByHand     Cause = "manual"
	ByBackfill Cause = "backfill"
	ByOther    Cause = "after" // schedules that it comes after have ended well
)

// Run is one run of a schedule, as it is kept.
type Run struct {
	ID        string    `json:"id"` // a ULID in lower case
	Schedule  string    `json:"schedule"`
	Scheduled time.Time `json:"scheduled"` // the time that it is for: ${run.scheduled_time}
	Cause     Cause     `json:"cause"`
	By        string    `json:"by,omitempty"` // who asked, by hand or for a backfill
	State     State     `json:"state"`
	Created   time.Time `json:"created"`
	Started   time.Time `json:"started,omitzero"` // of the last attempt
	Ended     time.Time `json:"ended,omitzero"`
	Attempt   int       `json:"attempt"` // from 1 once it has begun
	NotBefore time.Time `json:"not_before,omitzero"`
	Server    string    `json:"server,omitempty"` // that runs it
	Reason    string    `json:"reason,omitempty"` // of SKIPPED, MISSED, CANCELLED, DIED
	Late      bool      `json:"late,omitempty"`
	Stop      string    `json:"stop,omitempty"`   // who asked to cancel it
	Range     string    `json:"range,omitempty"`  // the backfill or catching up that it belongs to
	Taken     int       `json:"taken,omitempty"`  // how often this attempt was taken over from a server that was gone
	Passed    bool      `json:"passed,omitempty"` // what comes after its end has been done
	// Input is what was asked of the work beside its time, in the work's own terms: the
	// variables of a pipeline, or that rows of its dead letter run again.
	Input json.RawMessage `json:"input,omitempty"`
	Outcome
}

// Outcome is what an attempt of a run has told.
type Outcome struct {
	Job    string   `json:"job,omitempty"`    // of the task queue
	Report []byte   `json:"report,omitempty"` // of a pipeline, in JSON
	Files  []string `json:"files,omitempty"`  // written, at most 1000
	Rows   int64    `json:"rows,omitempty"`   // written
	Error  string   `json:"error,omitempty"`
}
