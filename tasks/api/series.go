package api

import "time"

// Series are figures of the last time, in steps of equal length, the oldest first.
type Series struct {
	From  time.Time `json:"from" doc:"When the first step began."`
	Step  Duration  `json:"step" doc:"Length of a step, in seconds."`
	Since time.Time `json:"since" doc:"When this server began to count: before, there is nothing."`

	Complete  []int64 `json:"complete" doc:"Tasks that ended with a value in each step."`
	Failed    []int64 `json:"failed" doc:"Tasks that ended without one in each step: ERROR, DIED, TIMEOUT, IMPOSSIBLE."`
	Cancelled []int64 `json:"cancelled" doc:"Tasks that were cancelled in each step."`

	Run  Quantiles `json:"run" doc:"How long the last attempts of tasks that ended took, in seconds."`
	Wait Quantiles `json:"wait" doc:"How long they had waited for it, since they were submitted or might begin."`

	Queues  []QueueSeries  `json:"queues" doc:"What was in each queue, by name."`
	Workers []WorkerSample `json:"workers" doc:"R processes of all workers at the end of each step."`
	Total   SeriesTotal    `json:"total" doc:"All steps together."`
}

// Quantiles of durations, in seconds, for each step: null where nothing ended. They are
// at most a tenth off.
type Quantiles struct {
	P50 []*float64 `json:"p50" doc:"Half were not longer."`
	P90 []*float64 `json:"p90" doc:"Nine in ten were not longer."`
	P99 []*float64 `json:"p99" doc:"99 in a hundred were not longer."`
}

// QueueSeries is what was in a queue at the end of each step; null before the server ran.
type QueueSeries struct {
	Name    string   `json:"name" doc:"Name."`
	Pending []*int64 `json:"pending" doc:"Tasks that waited, with those that wait for others."`
	Running []*int64 `json:"running" doc:"Tasks that ran."`
}

// WorkerSample are the R processes of all workers at a time.
type WorkerSample struct {
	Max   int   `json:"max" doc:"At most."`
	Up    int   `json:"up" doc:"Up."`
	Busy  int   `json:"busy" doc:"Run a task."`
	RSS   int64 `json:"rss" doc:"Resident memory, in bytes."`
	Known bool  `json:"known" doc:"The server ran at that time."`
}

// SeriesTotal is all of a series together.
type SeriesTotal struct {
	Complete  int64     `json:"complete" doc:"Tasks that ended with a value."`
	Failed    int64     `json:"failed" doc:"Tasks that ended without one."`
	Cancelled int64     `json:"cancelled" doc:"Tasks that were cancelled."`
	Rate      float64   `json:"rate" doc:"Tasks that ended in a second, on average of the time that is known."`
	Run       Durations `json:"run" doc:"How long they took."`
	Wait      Durations `json:"wait" doc:"How long they had waited."`
}

// Durations are quantiles in seconds; null where nothing ended.
type Durations struct {
	P50 *float64 `json:"p50" doc:"Half were not longer."`
	P90 *float64 `json:"p90" doc:"Nine in ten were not longer."`
	P99 *float64 `json:"p99" doc:"99 in a hundred were not longer."`
}

// Cells are the states of a job's tasks in parts of equal size, for a picture of it.
type Cells struct {
	From  int                `json:"from" doc:"Number of the first task."`
	To    int                `json:"to" doc:"Number of the last task."`
	Size  int                `json:"size" doc:"Tasks of a part; the last may have fewer."`
	Cells []map[string]int64 `json:"cells" doc:"How many tasks of each part are in which state."`
}
