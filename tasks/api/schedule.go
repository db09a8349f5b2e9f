package api

import "time"

// Schedules are all of them.
type Schedules struct {
	Schedules []Schedule `json:"schedules" doc:"By name."`
}

// Schedule is something that runs by the clock: a job of the task queue, or a pipeline.
type Schedule struct {
	Name      string     `json:"name" doc:"Its name, by which requests know it."`
	Kind      string     `json:"kind" doc:"pipeline, function, expression or script."`
	From      string     `json:"from,omitempty" doc:"The file that defines it."`
	Owner     string     `json:"owner" doc:"Who may pause, run and cancel it, beside administrators."`
	Cron      string     `json:"cron,omitempty" doc:"When; none where it comes after others, or runs by hand."`
	TimeZone  string     `json:"time_zone,omitempty" doc:"That its expression is in."`
	After     []string   `json:"after,omitempty" doc:"Schedules whose run must end well before."`
	Overlap   string     `json:"overlap,omitempty" doc:"What becomes of a time while the run before is under way: skip, queue, cancel_old or allow."`
	CatchUp   string     `json:"catch_up,omitempty" doc:"Which missed times are made up for: none, last or all."`
	Start     *time.Time `json:"start,omitempty" doc:"Nothing is due before."`
	End       *time.Time `json:"end,omitempty" doc:"Nothing is due from then on."`
	Retries   int        `json:"retries,omitempty" doc:"How often a run that failed is tried again."`
	Timeout   Duration   `json:"timeout,omitempty" doc:"Of an attempt."`
	Gone      bool       `json:"gone,omitempty" doc:"No longer configured; its history is left."`
	Paused    bool       `json:"paused" doc:"Nothing of it is due."`
	PausedBy  string     `json:"paused_by,omitempty" doc:"Who paused it; absent where the configuration says so."`
	Failing   bool       `json:"failing" doc:"Its last run that has ended has failed."`
	Next      *time.Time `json:"next,omitempty" doc:"When it is due next."`
	Last      *Run       `json:"last,omitempty" doc:"Its newest run that has begun or ended."`
	Running   int        `json:"running" doc:"Runs under way, or about to be tried again."`
	Waiting   int        `json:"waiting" doc:"Runs that wait for their turn."`
	Backfills []Backfill `json:"backfills,omitempty" doc:"Times that are being made up for."`
}

// Times are times at which a schedule is due.
type Times struct {
	Times []time.Time `json:"times" doc:"In order, in the schedule's zone."`
}

// Run is one run of a schedule.
type Run struct {
	ID        string     `json:"id" doc:"A ULID in lower case."`
	Schedule  string     `json:"schedule" doc:"Its name."`
	Scheduled time.Time  `json:"scheduled" doc:"The time that it is for."`
	Cause     string     `json:"cause" enum:"schedule|catch_up|manual|backfill|after" doc:"Why there is one."`
	By        string     `json:"by,omitempty" doc:"Who asked for it."`
	State     string     `json:"state" enum:"WAITING|RUNNING|RETRYING|COMPLETE|ERROR|CANCELLED|TIMEOUT|DIED|SKIPPED|MISSED" doc:"How it stands."`
	Reason    string     `json:"reason,omitempty" doc:"Why it was skipped, missed, cancelled, or died."`
	Error     string     `json:"error,omitempty" doc:"Why its last attempt failed."`
	Created   time.Time  `json:"created" doc:"When it came to be."`
	Started   *time.Time `json:"started,omitempty" doc:"When its last attempt began."`
	Ended     *time.Time `json:"ended,omitempty" doc:"When it ended."`
	NotBefore *time.Time `json:"not_before,omitempty" doc:"When it begins, or is tried again, at the earliest."`
	Attempt   int        `json:"attempt" doc:"How many have begun."`
	Late      bool       `json:"late,omitempty" doc:"It had not ended so long after its time as late_after says."`
	Job       string     `json:"job,omitempty" doc:"The job of the task queue that its last attempt is."`
	Backfill  string     `json:"backfill,omitempty" doc:"The backfill, or catching up, that it belongs to."`
	Server    string     `json:"server,omitempty" doc:"The server that has it under way."`
	Rows      int64      `json:"rows,omitempty" doc:"Written by a pipeline."`
	Files     []string   `json:"files,omitempty" doc:"Written by a pipeline."`
	Report    any        `json:"report,omitempty" doc:"Of a pipeline; of one run alone."`
}

// Runs are a page of runs, newest first.
type Runs struct {
	Runs []Run  `json:"runs" doc:"The runs of the page."`
	Next string `json:"next,omitempty" doc:"Give it as after for the next page; absent on the last."`
}

// RunRequest asks for a run by hand.
type RunRequest struct {
	Scheduled *time.Time `json:"scheduled,omitempty" doc:"The time that it is for. Without it, now."`
}

// BackfillRequest asks for runs of times in a range.
type BackfillRequest struct {
	From string `json:"from" required:"true" doc:"From this time on: a date, a date and time in the schedule's zone, or RFC 3339."`
	To   string `json:"to" required:"true" doc:"Before this time."`
}

// Backfill is a range of times that are made up for, oldest first and one at a time.
type Backfill struct {
	ID    string    `json:"id" doc:"POST /v1/runs/{id}/cancel takes it, too."`
	Cause string    `json:"cause" enum:"backfill|catch_up" doc:"Why there is one."`
	By    string    `json:"by,omitempty" doc:"Who asked for it."`
	From  time.Time `json:"from" doc:"From this time on."`
	To    time.Time `json:"to" doc:"Before this time."`
	Done  time.Time `json:"done" doc:"Times before this one have begun."`
	Times int       `json:"times,omitempty" doc:"How many there are in all; 0 is not known."`
}

var runFilter = []Param{
	{Name: "state", Doc: "In this state, such as ERROR, or in one of these with commas.", Many: true},
	{Name: "since", Doc: "For this time or a later one: a time, or a duration before now such as 1d."},
	{Name: "until", Doc: "For a time before: a time, or a duration before now."},
	{Name: "after", Doc: "Where to go on: next of the page before."},
	{Name: "limit", Doc: "Rows of a page, at most 1000. Without it, 100.", Type: "integer"},
}
