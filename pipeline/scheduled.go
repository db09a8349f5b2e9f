package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
)

// checkSchedule reports what does not go with a run for each of many times.
func (f *File) checkSchedule(report func(field, message, hint string)) {
	if f.Schedule == nil || f.Source.Use == nil {
		return
	}
	if f.endless() {
		report("source", "may have no end, and a run that a schedule starts is to end", "leave schedule out, or say bounded: true where the input does end")
	}
	if f.Schedule.Overlap == "allow" {
		report("schedule.overlap", "allow does not go with a pipeline, whose runs share their record and their output",
			"say queue or skip, or make two pipelines of it")
	}
	for _, b := range f.branches() {
		switch s := b.use.(type) {
		case nil:
		case *sinks.Stdout:
			report(b.path+".stdout", "prints rows, and nobody reads what a server prints", "write files: parquet, csv, ndjson or rds")
		case interface{ Refuses() bool }:
			if s.Refuses() {
				report(b.path+"."+sinks.Table.NameOf(b.use), "does not say if_exists, or says error, and the second run would be refused",
					"say what a run does with the output of other times: if_exists: append leaves it, replace_partitions takes the partitions that it writes, replace takes all")
			}
		}
	}
}

// times are the scheduled times that the rows of a run are for, or its id where it is for
// none but its own, and whether they take the place of those that earlier runs have written for them. An incremental source
// gives what is new, whatever the time: nothing comes again.
func (f *File) times() (times []string, again bool) {
	if f.replay != nil {
		for _, file := range f.replay.Files {
			times = append(times, file.Scheduled...)
		}
		slices.Sort(times)
		return slices.Compact(times), false
	}
	if !f.forTime || f.Incremental() {
		return nil, false
	}
	if f.alone {
		return []string{f.RunID}, true
	}
	return []string{f.Scheduled}, true
}

// Unfinished is the record of the pipeline's run that did not finish; nil where there is
// none.
func (f *File) Unfinished(ctx context.Context) (*journal.Journal, error) {
	state, err := f.State()
	if err != nil {
		return nil, &ConfigError{File: f.Path, At: f.doc.Place("state"), Path: "state", Err: err}
	}
	j, err := state.Journal(ctx)
	if err != nil {
		return nil, &EnvironmentError{Err: err}
	}
	return j, nil
}

// GoOn makes a run of the file with Options.Resume go on with the one in its record,
// which must be the one that the file was loaded for.
func (f *File) GoOn(j *journal.Journal) { f.resumes = j }

// MustFinish reports whether a run that did not finish has to be gone on with before
// another one: it has made rows visible that would come again.
func (f *File) MustFinish(j *journal.Journal) bool {
	switch {
	case j.Phase == journal.Publishing:
		return true
	case !f.Incremental():
		return false
	}
	return f.Commit.Publish == publishEpoch || j.Phase == journal.Stopped && j.Cursor != ""
}

// Graph is the graph that the file describes, as far as the file itself says: Plan finds
// out the columns as well.
func (f *File) Graph() []Node {
	p := &Plan{from: -1}
	p.add("source", "source", sources.Table.NameOf(f.Source.Use), f.line("source"), nil, nil)
	p.graph(f.Stages, f.Labels, func(i int) int { return f.line(fmt.Sprintf("stages[%d]", i)) })
	trunk := p.from
	for _, b := range f.branches() {
		if p.from = trunk; b.when != "" {
			p.add("stage", b.label+".when", "filter", f.line(b.path), nil, nil)
		}
		p.graph(b.stages, b.labels, func(i int) int { return f.line(fmt.Sprintf("%s.stages[%d]", b.path, i)) })
		p.add("sink", b.label, sinks.Table.NameOf(b.use), f.line(b.path), nil, nil)
	}
	return p.Nodes
}

func (p *Plan) graph(specs []StageSpec, labels []string, line func(i int) int) {
	for i, s := range specs {
		p.add("stage", labels[i], Transforms.NameOf(s.Use), line(i), nil, nil)
	}
}

// Output is what stands in the place of a sink.
type Output struct {
	Sink  string
	Path  string // where it is
	Files []sinks.CommittedFile
}

// Outputs are what the manifests of the sinks name now, of all runs.
func (f *File) Outputs(ctx context.Context) ([]Output, error) {
	var all []Output
	for _, b := range f.branches() {
		root, files, err := sinks.Committed(ctx, b.use, f.planEnv().For(b.label))
		if err != nil {
			return nil, at(f, b.path, err)
		}
		all = append(all, Output{b.label, root, files})
	}
	return all, nil
}

// Endless reports whether the source may have no end.
func (f *File) Endless() bool { return f.endless() }

// Close lets go of what looking at the file has opened. A run does so itself.
func (f *File) Close() {
	if f.s3 != nil {
		f.s3.Close()
	}
}
