package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// ErrMissing says that there is no such pipeline, or no version of it that can be run.
var ErrMissing = errors.New("there is no such pipeline")

// usable is the version of a pipeline that runs use.
func (s *Set) usable(name string) (*version, error) {
	if v := s.version(name); v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("pipeline %q: %w", name, ErrMissing)
}

// Check reports what is wrong with a run of a pipeline that is given these values.
func (s *Set) Check(name string, values map[string]string, scheduled time.Time) error {
	v, err := s.usable(name)
	if err != nil {
		return err
	}
	g := s.given(v, values)
	g.Scheduled = scheduled
	_, problems := g.Load(v.path)
	return wrong(problems)
}

// Plan finds out what a run of a pipeline would do, from the beginning of its input.
func (s *Set) Plan(ctx context.Context, name string, values map[string]string) (*pipeline.Plan, configs.Problems, error) {
	v, err := s.usable(name)
	if err != nil {
		return nil, nil, err
	}
	f, problems := s.given(v, values).Load(v.path)
	if err := wrong(problems); err != nil {
		return nil, nil, err
	}
	defer f.Close()
	plan, found := f.Plan(ctx)
	return plan, append(problems, found...), nil
}

// file is a pipeline as a run has it, or, with a zero run, as one now would.
func (s *Set) file(name string, run *schedule.Run) (*pipeline.File, error) {
	v, err := s.usable(name)
	if err != nil {
		return nil, err
	}
	in, err := InputOf(run)
	if err != nil {
		return nil, err
	}
	g := s.given(v, in.Values)
	g.Run, g.Scheduled = run.ID, run.Scheduled
	f, problems := g.Load(v.path)
	return f, wrong(problems)
}

// Outputs are the files of a run that the manifests of its outputs name: what later runs
// have replaced is not there any more.
func (s *Set) Outputs(ctx context.Context, run *schedule.Run) (*api.PipelineOutput, error) {
	f, err := s.file(run.Schedule, run)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	out := &api.PipelineOutput{Sinks: []api.PipelineSink{}}
	for _, o := range all {
		to := api.PipelineSink{Label: o.Sink, Path: o.Path, Files: []api.PipelineFile{}}
		for _, file := range o.Files {
			to.AllRows += file.Rows
			to.AllFiles++
			if file.Run != run.ID {
				continue
			}
			to.Rows, to.Bytes, to.Count = to.Rows+file.Rows, to.Bytes+file.Bytes, to.Count+1
			if len(to.Files) < mostFiles {
				to.Files = append(to.Files, api.PipelineFile{
					Path: file.Path, Rows: file.Rows, Bytes: file.Bytes, SHA256: file.SHA256, Scheduled: file.Scheduled, Created: file.Created,
				})
			}
		}
		out.Sinks = append(out.Sinks, to)
	}
	return out, nil
}

// errEnough ends the listing of rows.
var errEnough = errors.New("enough")

// DeadLetters are the rows of a pipeline that failed: how many, and the first of them.
func (s *Set) DeadLetters(ctx context.Context, name string, filter pipeline.DeadFilter, most int) (*api.PipelineDeadLetters, error) {
	f, err := s.file(name, &schedule.Run{})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := &api.PipelineDeadLetters{Groups: []api.PipelineFailures{}, Rows: []api.PipelineDeadRow{}}
	if f.DeadLetter == nil {
		return out, nil
	}
	out.Path = f.DeadLetter.Path
	d, err := f.DeadLetters(ctx)
	if errors.Is(err, sinks.ErrNoDeadLetter) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	groups, err := d.Groups(ctx, filter)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		out.Groups = append(out.Groups, api.PipelineFailures{Stage: g.Stage, Error: g.Error, Rows: g.Rows, Runs: len(g.Runs), First: g.First, Last: g.Last})
	}
	err = d.Each(ctx, filter, true, func(r *pipeline.DeadRow) error {
		if len(out.Rows) == most {
			return errEnough
		}
		var row api.PipelineDeadRow
		b, err := json.Marshal(r)
		if err == nil {
			err = json.Unmarshal(b, &row)
		}
		out.Rows = append(out.Rows, row)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return out, nil
}
