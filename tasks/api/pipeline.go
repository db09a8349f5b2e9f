package api

import "time"

// Pipelines are those that the server has.
type Pipelines struct {
	Pipelines []Pipeline        `json:"pipelines" doc:"By name."`
	Problems  []PipelineProblem `json:"problems,omitempty" doc:"Of files that are no pipeline, and of the directory."`
	Directory string            `json:"directory,omitempty" doc:"Where their files are; none where there is no directory."`
}

// Pipeline is a pipeline that the server runs, by its schedule or by hand.
type Pipeline struct {
	Name     string            `json:"name"`
	File     string            `json:"file" doc:"Where it is on the server's machine."`
	Owner    string            `json:"owner" doc:"Who may run it, beside administrators: the user of the server."`
	Pool     string            `json:"pool" enum:"shared|own" doc:"The R workers of its runs: the server's, or their own."`
	Cron     string            `json:"cron,omitempty" doc:"Its schedule, of which /v1/schedules/{name} tells more; none where it runs by hand."`
	TimeZone string            `json:"time_zone,omitempty"`
	State    string            `json:"state" enum:"ok|stale|broken|gone" doc:"stale: the file has an error now, and runs are of the version before. broken: it has one, and there is no version before. gone: there is no file any more."`
	Loaded   *time.Time        `json:"loaded,omitempty" doc:"When the version that runs use was read."`
	Problems []PipelineProblem `json:"problems,omitempty" doc:"Of the file as it is now, warnings too."`
	Nodes    []PipelineNode    `json:"nodes,omitempty" doc:"Its graph, sources first; figures are in a run."`
	Next     *time.Time        `json:"next,omitempty" doc:"When it is due again."`
	Paused   bool              `json:"paused,omitempty"`
	Running  []string          `json:"running,omitempty" doc:"Ids of runs under way."`
	Last     *Run              `json:"last,omitempty" doc:"The newest run, without its report."`
	Dead     bool              `json:"dead_letter,omitempty" doc:"Whether rows that fail are kept."`
}

// PipelineProblem is something wrong with a file.
type PipelineProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty" doc:"In the file, such as stages[2].map.fun; the message goes on from it."`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning,omitempty"`
}

// PipelineNode is a part of a pipeline.
type PipelineNode struct {
	Label     string           `json:"label"`
	Kind      string           `json:"kind" enum:"source|stage|sink"`
	Component string           `json:"component,omitempty" doc:"Such as csv, map or parquet."`
	Line      int              `json:"line,omitempty" doc:"Where it stands in the file."`
	After     int              `json:"after" doc:"Index of the node that its rows come from; -1 for the source."`
	Columns   []PipelineColumn `json:"columns,omitempty" doc:"Of its output, as far as known; in the plan alone."`
	Settings  string           `json:"settings,omitempty" doc:"YAML with the defaults filled in; in the plan alone."`
}

// PipelineColumn is a column of rows.
type PipelineColumn struct {
	Name string `json:"name"`
	Type string `json:"type" doc:"As returns: in a map stage takes it."`
}

// PipelinePlan is what a run would do, found out by looking at the beginning of its input.
type PipelinePlan struct {
	Nodes    []PipelineNode    `json:"nodes"`
	Rows     int64             `json:"rows,omitempty" doc:"Of the input, where that is known."`
	Bytes    int64             `json:"bytes,omitempty" doc:"Of the input, where that is known."`
	Workers  int               `json:"workers,omitempty" doc:"R workers at most, by the file."`
	Queues   []string          `json:"queues,omitempty" doc:"Of a task server, that stages run on."`
	Memory   int64             `json:"memory_bytes"`
	Commit   string            `json:"commit,omitempty" doc:"How its output is committed, in words."`
	Problems []PipelineProblem `json:"problems,omitempty"`
}

// PipelineStart is what a run by hand is given.
type PipelineStart struct {
	Values    map[string]string `json:"values,omitempty" doc:"Of variables in the file, name to value; each must stand there."`
	Scheduled *time.Time        `json:"scheduled,omitempty" doc:"The time that it is for, ${run.scheduled_time}. Without it, now. What an earlier run for the same time has written is replaced."`
}

// PipelineReplay says which rows of a dead letter run again.
type PipelineReplay struct {
	Stage string `json:"stage,omitempty" doc:"Those that failed in the stage of this label."`
	Run   string `json:"run,omitempty" doc:"Those of this run."`
	// Of variables in the file, as in PipelineStart.
	Values map[string]string `json:"values,omitempty" doc:"Of variables in the file."`
}

// PipelineRun is one run of a pipeline.
type PipelineRun struct {
	ID        string     `json:"id"`
	Pipeline  string     `json:"pipeline"`
	Scheduled time.Time  `json:"scheduled" doc:"The time that it is for."`
	Cause     string     `json:"cause" enum:"schedule|catch_up|manual|backfill|after"`
	By        string     `json:"by,omitempty" doc:"Who asked for it."`
	Replay    bool       `json:"replay,omitempty" doc:"It runs rows of the dead letter again."`
	State     string     `json:"state" enum:"WAITING|RUNNING|RETRYING|COMPLETE|ERROR|CANCELLED|TIMEOUT|DIED|SKIPPED|MISSED"`
	Created   time.Time  `json:"created"`
	Started   *time.Time `json:"started,omitempty" doc:"Its last attempt."`
	Ended     *time.Time `json:"ended,omitempty"`
	Attempt   int        `json:"attempt"`
	NotBefore *time.Time `json:"not_before,omitempty" doc:"When it is tried again."`
	Server    string     `json:"server,omitempty"`
	Reason    string     `json:"reason,omitempty"`
	Late      bool       `json:"late,omitempty"`
	Rows      int64      `json:"rows" doc:"Written."`
	Error     string     `json:"error,omitempty"`

	Values map[string]string `json:"values,omitempty" doc:"That were given by hand."`
	Files  []string          `json:"files,omitempty" doc:"Written, at most 1000."`
	Report any               `json:"report,omitempty" doc:"As rpipe run --json prints it, with the first files of each sink."`
	Live   *PipelineLive     `json:"live,omitempty" doc:"Figures of a run under way on the server that answers."`
}

// PipelineLive is where a run under way stands.
type PipelineLive struct {
	Elapsed    Duration   `json:"elapsed" doc:"Of this attempt."`
	Fraction   *float64   `json:"fraction,omitempty" doc:"Of the input that has been read, from 0 to 1; none where its size is not known."`
	Remaining  *Duration  `json:"remaining,omitempty" doc:"Estimated."`
	Read       int64      `json:"rows_read"`
	Written    int64      `json:"rows_written"`
	Resumed    int64      `json:"rows_resumed,omitempty" doc:"Read by earlier processes of the run."`
	Skipped    int64      `json:"rows_skipped"`
	Dead       int64      `json:"rows_dead_letter"`
	Memory     int64      `json:"memory_bytes" doc:"Of rows between source and sink."`
	Budget     int64      `json:"memory_budget_bytes"`
	Draining   bool       `json:"draining,omitempty" doc:"It was asked to stop, and finishes what it has read."`
	Bottleneck string     `json:"bottleneck,omitempty" doc:"The label of the part that has worked the longest."`
	R          *PipelineR `json:"r,omitempty"`

	Nodes []PipelineFigures `json:"nodes"`
	Edges []PipelineEdge    `json:"edges"`
}

// PipelineR are the R workers of a run.
type PipelineR struct {
	Up     int   `json:"up"`
	Busy   int   `json:"busy"`
	Memory int64 `json:"memory_bytes" doc:"Resident; pages that they share count in each."`
	Died   int64 `json:"died"`
}

// PipelineFigures are the figures of a part. Rates and shares are those of the last
// seconds, or of all of it once it is done.
type PipelineFigures struct {
	Label      string           `json:"label"`
	Kind       string           `json:"kind" enum:"source|stage|sink|fan-out"`
	Component  string           `json:"component,omitempty"`
	Line       int              `json:"line,omitempty"`
	Workers    int              `json:"workers" doc:"Batches that it may work on at once."`
	InFlight   int64            `json:"in_flight" doc:"Batches that it works on."`
	RowsIn     int64            `json:"rows_in"`
	RowsOut    int64            `json:"rows_out"`
	BytesIn    int64            `json:"bytes_in"`
	BytesOut   int64            `json:"bytes_out"`
	BatchesIn  int64            `json:"batches_in"`
	BatchesOut int64            `json:"batches_out"`
	Rate       float64          `json:"rows_per_second" doc:"Of the rows that it takes; of a source, gives."`
	Busy       float64          `json:"busy" doc:"Share of the time that it works, of all of its workers, from 0 to 1."`
	Starved    float64          `json:"starved" doc:"Share of the time that it waits for input."`
	Blocked    float64          `json:"blocked" doc:"Share of the time that what comes after it does not take its output."`
	Errors     map[string]int64 `json:"errors,omitempty" doc:"By class."`
	Done       bool             `json:"done"`
	Bottleneck bool             `json:"bottleneck,omitempty"`
}

// PipelineEdge is what stands between two parts.
type PipelineEdge struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Depth    int    `json:"depth" doc:"Batches in it."`
	Capacity int    `json:"capacity"`
}

// PipelineOutput is what a run has written, as the manifests of its outputs say now: what
// later runs have replaced is not there any more.
type PipelineOutput struct {
	Sinks []PipelineSink `json:"sinks"`
}

// PipelineSink is an output of a pipeline.
type PipelineSink struct {
	Label string         `json:"label"`
	Path  string         `json:"path"`
	Files []PipelineFile `json:"files" doc:"Of the run, at most 1000."`
	Rows  int64          `json:"rows" doc:"In the files of the run."`
	Bytes int64          `json:"bytes"`
	Count int            `json:"count" doc:"Files of the run."`

	AllRows  int64 `json:"all_rows" doc:"Of all runs that the output has."`
	AllFiles int   `json:"all_files"`
}

// PipelineFile is a file of an output.
type PipelineFile struct {
	Path      string    `json:"path" doc:"Below that of the output."`
	Rows      int64     `json:"rows"`
	Bytes     int64     `json:"bytes"`
	SHA256    string    `json:"sha256,omitempty"`
	Scheduled Strings   `json:"scheduled,omitempty" doc:"Times that its rows are for, or the id of a run by hand."`
	Created   time.Time `json:"created"`
}

// PipelineDeadLetters are rows that failed.
type PipelineDeadLetters struct {
	Path   string             `json:"path,omitempty"`
	Groups []PipelineFailures `json:"groups" doc:"How many, by stage and error."`
	Rows   []PipelineDeadRow  `json:"rows" doc:"The first of them."`
}

// PipelineFailures are rows that failed alike.
type PipelineFailures struct {
	Stage string    `json:"stage"`
	Error string    `json:"error" doc:"Of one of them; the others' differ in numbers and quoted texts at most."`
	Rows  int64     `json:"rows"`
	Runs  int       `json:"runs" doc:"That they are of."`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// PipelineDeadRow is a row that failed.
type PipelineDeadRow struct {
	Run       string    `json:"run"`
	Pipeline  string    `json:"pipeline"`
	Stage     string    `json:"stage"`
	Time      time.Time `json:"time"`
	Batch     *int64    `json:"batch,omitempty" doc:"From 0; none where it is not known."`
	Row       int64     `json:"row,omitempty" doc:"In the input of the stage, from 1; none where it is not known."`
	Error     string    `json:"error"`
	Traceback []string  `json:"traceback,omitempty"`
	Attempt   int       `json:"attempt"`
	Whole     bool      `json:"whole" doc:"Rows failed together, and it is not known which is at fault."`
	Raw       *string   `json:"raw,omitempty" doc:"The text, where it never became a row."`
	Data      any       `json:"data,omitempty" doc:"The row: an object."`
}
