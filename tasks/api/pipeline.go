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
	Name     string            `json:"name" doc:"Its name, by which requests know it."`
	File     string            `json:"file" doc:"Where it is on the server's machine."`
	Owner    string            `json:"owner" doc:"Who may run it, beside administrators: the user of the server."`
	Pool     string            `json:"pool" enum:"shared|own" doc:"The R workers of its runs: the server's, or their own."`
	Cron     string            `json:"cron,omitempty" doc:"Its schedule, of which /v1/schedules/{name} tells more; none where it runs by hand."`
	TimeZone string            `json:"time_zone,omitempty" doc:"Of its schedule."`
	State    string            `json:"state" enum:"ok|stale|broken|gone" doc:"stale: the file has an error now, and runs are of the version before. broken: it has one, and there is no version before. gone: there is no file any more."`
	Loaded   *time.Time        `json:"loaded,omitempty" doc:"When the version that runs use was read."`
	Problems []PipelineProblem `json:"problems,omitempty" doc:"Of the file as it is now, warnings too."`
	Nodes    []PipelineNode    `json:"nodes,omitempty" doc:"Its graph, sources first; figures are in a run."`
	Next     *time.Time        `json:"next,omitempty" doc:"When it is due again."`
	Paused   bool              `json:"paused,omitempty" doc:"Nothing of its schedule is due."`
	Running  []string          `json:"running,omitempty" doc:"Ids of runs under way."`
	Last     *Run              `json:"last,omitempty" doc:"The newest run, without its report."`
	Dead     bool              `json:"dead_letter,omitempty" doc:"Whether rows that fail are kept."`
}

// PipelineProblem is something wrong with a file.
type PipelineProblem struct {
	File    string `json:"file" doc:"The pipeline file."`
	Line    int    `json:"line,omitempty" doc:"In the file, from 1; none where it has no place."`
	Column  int    `json:"column,omitempty" doc:"In the line, from 1."`
	Path    string `json:"path,omitempty" doc:"In the file, such as stages[2].map.fun; the message goes on from it."`
	Message string `json:"message" doc:"What is wrong."`
	Hint    string `json:"hint,omitempty" doc:"How to mend it."`
	Warning bool   `json:"warning,omitempty" doc:"It keeps nothing from running."`
}

// PipelineNode is a part of a pipeline.
type PipelineNode struct {
	Label     string           `json:"label" doc:"Its name within the pipeline."`
	Kind      string           `json:"kind" enum:"source|stage|sink" doc:"What it does with rows."`
	Component string           `json:"component,omitempty" doc:"Such as csv, map or parquet."`
	Line      int              `json:"line,omitempty" doc:"Where it stands in the file."`
	After     int              `json:"after" doc:"Index of the node that its rows come from; -1 for the source."`
	Columns   []PipelineColumn `json:"columns,omitempty" doc:"Of its output, as far as known; in the plan alone."`
	Settings  string           `json:"settings,omitempty" doc:"YAML with the defaults filled in; in the plan alone."`
}

// PipelineColumn is a column of rows.
type PipelineColumn struct {
	Name string `json:"name" doc:"Its name."`
	Type string `json:"type" doc:"As returns: in a map stage takes it."`
}

// PipelinePlan is what a run would do, found out by looking at the beginning of its input.
type PipelinePlan struct {
	Nodes    []PipelineNode    `json:"nodes" doc:"Its graph with columns, sources first."`
	Rows     int64             `json:"rows,omitempty" doc:"Of the input, where that is known."`
	Bytes    int64             `json:"bytes,omitempty" doc:"Of the input, where that is known."`
	Workers  int               `json:"workers,omitempty" doc:"R workers at most, by the file."`
	Queues   []string          `json:"queues,omitempty" doc:"Of a task server, that stages run on."`
	Memory   int64             `json:"memory_bytes" doc:"Budget of rows between source and sink."`
	Commit   string            `json:"commit,omitempty" doc:"How its output is committed, in words."`
	Problems []PipelineProblem `json:"problems,omitempty" doc:"Of the file and the beginning of its input, warnings too."`
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
	ID        string     `json:"id" doc:"A ULID in lower case."`
	Pipeline  string     `json:"pipeline" doc:"Its name."`
	Scheduled time.Time  `json:"scheduled" doc:"The time that it is for."`
	Cause     string     `json:"cause" enum:"schedule|catch_up|manual|backfill|after" doc:"Why there is one."`
	By        string     `json:"by,omitempty" doc:"Who asked for it."`
	Replay    bool       `json:"replay,omitempty" doc:"It runs rows of the dead letter again."`
	State     string     `json:"state" enum:"WAITING|RUNNING|RETRYING|COMPLETE|ERROR|CANCELLED|TIMEOUT|DIED|SKIPPED|MISSED" doc:"How it stands."`
	Created   time.Time  `json:"created" doc:"When it came to be."`
	Started   *time.Time `json:"started,omitempty" doc:"Its last attempt."`
	Ended     *time.Time `json:"ended,omitempty" doc:"When it ended."`
	Attempt   int        `json:"attempt" doc:"How many have begun."`
	NotBefore *time.Time `json:"not_before,omitempty" doc:"When it is tried again."`
	Server    string     `json:"server,omitempty" doc:"The server that has it under way."`
	Reason    string     `json:"reason,omitempty" doc:"Why it was skipped, missed, cancelled, or died."`
	Late      bool       `json:"late,omitempty" doc:"It had not ended so long after its time as late_after says."`
	Rows      int64      `json:"rows" doc:"Written."`
	Error     string     `json:"error,omitempty" doc:"Why its last attempt failed."`

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
	Read       int64      `json:"rows_read" doc:"By the source."`
	Written    int64      `json:"rows_written" doc:"By the sinks."`
	Resumed    int64      `json:"rows_resumed,omitempty" doc:"Read by earlier processes of the run."`
	Skipped    int64      `json:"rows_skipped" doc:"Rows that failed and are left out."`
	Dead       int64      `json:"rows_dead_letter" doc:"Rows that failed and are kept."`
	Memory     int64      `json:"memory_bytes" doc:"Of rows between source and sink."`
	Budget     int64      `json:"memory_budget_bytes" doc:"What they may take."`
	Draining   bool       `json:"draining,omitempty" doc:"It was asked to stop, and finishes what it has read."`
	Bottleneck string     `json:"bottleneck,omitempty" doc:"The label of the part that has worked the longest."`
	R          *PipelineR `json:"r,omitempty" doc:"Its R workers, where it has any."`

	Nodes []PipelineFigures `json:"nodes" doc:"Its parts, sources first."`
	Edges []PipelineEdge    `json:"edges" doc:"What stands between them."`
}

// PipelineR are the R workers of a run.
type PipelineR struct {
	Up     int   `json:"up" doc:"Processes that are up."`
	Busy   int   `json:"busy" doc:"Processes that work on a batch."`
	Memory int64 `json:"memory_bytes" doc:"Resident; pages that they share count in each."`
	Died   int64 `json:"died" doc:"Processes that have died."`
}

// PipelineFigures are the figures of a part. Rates and shares are those of the last
// seconds, or of all of it once it is done.
type PipelineFigures struct {
	Label      string           `json:"label" doc:"Its name within the pipeline."`
	Kind       string           `json:"kind" enum:"source|stage|sink|fan-out" doc:"What it does with rows."`
	Component  string           `json:"component,omitempty" doc:"Such as csv, map or parquet."`
	Line       int              `json:"line,omitempty" doc:"Where it stands in the file."`
	Workers    int              `json:"workers" doc:"Batches that it may work on at once."`
	InFlight   int64            `json:"in_flight" doc:"Batches that it works on."`
	RowsIn     int64            `json:"rows_in" doc:"That it took."`
	RowsOut    int64            `json:"rows_out" doc:"That it gave."`
	BytesIn    int64            `json:"bytes_in" doc:"That it took."`
	BytesOut   int64            `json:"bytes_out" doc:"That it gave."`
	BatchesIn  int64            `json:"batches_in" doc:"That it took."`
	BatchesOut int64            `json:"batches_out" doc:"That it gave."`
	Rate       float64          `json:"rows_per_second" doc:"Of the rows that it takes; of a source, gives."`
	Busy       float64          `json:"busy" doc:"Share of the time that it works, of all of its workers, from 0 to 1."`
	Starved    float64          `json:"starved" doc:"Share of the time that it waits for input."`
	Blocked    float64          `json:"blocked" doc:"Share of the time that what comes after it does not take its output."`
	Errors     map[string]int64 `json:"errors,omitempty" doc:"By class."`
	Done       bool             `json:"done" doc:"It has no more to do."`
	Bottleneck bool             `json:"bottleneck,omitempty" doc:"It is what the others wait for."`
}

// PipelineEdge is what stands between two parts.
type PipelineEdge struct {
	From     string `json:"from" doc:"Label of the part before."`
	To       string `json:"to" doc:"Label of the part after."`
	Depth    int    `json:"depth" doc:"Batches in it."`
	Capacity int    `json:"capacity" doc:"Batches that find room in it."`
}

// PipelineOutput is what a run has written, as the manifests of its outputs say now: what
// later runs have replaced is not there any more.
type PipelineOutput struct {
	Sinks []PipelineSink `json:"sinks" doc:"Its outputs."`
}

// PipelineSink is an output of a pipeline.
type PipelineSink struct {
	Label string         `json:"label" doc:"Of the part that writes it."`
	Path  string         `json:"path" doc:"Where it is."`
	Files []PipelineFile `json:"files" doc:"Of the run, at most 1000."`
	Rows  int64          `json:"rows" doc:"In the files of the run."`
	Bytes int64          `json:"bytes" doc:"In the files of the run."`
	Count int            `json:"count" doc:"Files of the run."`

	AllRows  int64 `json:"all_rows" doc:"Of all runs that the output has."`
	AllFiles int   `json:"all_files" doc:"Of all runs that the output has."`
}

// PipelineFile is a file of an output.
type PipelineFile struct {
	Path      string    `json:"path" doc:"Below that of the output."`
	Rows      int64     `json:"rows" doc:"In it."`
	Bytes     int64     `json:"bytes" doc:"Its size."`
	SHA256    string    `json:"sha256,omitempty" doc:"Its checksum, in hexadecimal digits."`
	Scheduled Strings   `json:"scheduled,omitempty" doc:"Times that its rows are for, or the id of a run by hand."`
	Created   time.Time `json:"created" doc:"When it was written."`
}

// PipelineDeadLetters are rows that failed.
type PipelineDeadLetters struct {
	Path   string             `json:"path,omitempty" doc:"Where they are kept."`
	Groups []PipelineFailures `json:"groups" doc:"How many, by stage and error."`
	Rows   []PipelineDeadRow  `json:"rows" doc:"The first of them."`
}

// PipelineFailures are rows that failed alike.
type PipelineFailures struct {
	Stage string    `json:"stage" doc:"Label of the stage."`
	Error string    `json:"error" doc:"Of one of them; the others' differ in numbers and quoted texts at most."`
	Rows  int64     `json:"rows" doc:"How many."`
	Runs  int       `json:"runs" doc:"That they are of."`
	First time.Time `json:"first" doc:"When the first of them failed."`
	Last  time.Time `json:"last" doc:"When the last of them failed."`
}

// PipelineDeadRow is a row that failed.
type PipelineDeadRow struct {
	Run       string    `json:"run" doc:"Id of the run."`
	Pipeline  string    `json:"pipeline" doc:"Name of the pipeline."`
	Stage     string    `json:"stage" doc:"Label of the stage that it failed in."`
	Time      time.Time `json:"time" doc:"When it failed."`
	Batch     *int64    `json:"batch,omitempty" doc:"From 0; none where it is not known."`
	Row       int64     `json:"row,omitempty" doc:"In the input of the stage, from 1; none where it is not known."`
	Error     string    `json:"error" doc:"Why."`
	Traceback []string  `json:"traceback,omitempty" doc:"The calls of R that led there."`
	Attempt   int       `json:"attempt" doc:"Of the batch."`
	Whole     bool      `json:"whole" doc:"Rows failed together, and it is not known which is at fault."`
	Raw       *string   `json:"raw,omitempty" doc:"The text, where it never became a row."`
	Data      any       `json:"data,omitempty" doc:"The row: an object."`
}
