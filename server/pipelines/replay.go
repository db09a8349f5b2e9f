package pipelines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/schedule/keeper"
	"github.com/rpipe-dev/rpipe/sinks"
)

// settleReplay ends a replay of the dead letter that died while it published.
func (a *attempt) settleReplay(ctx context.Context) error {
	f, problems, err := a.set.given(a.version, a.input.Values).LoadUnfinishedReplay(ctx, a.version.path)
	if err == nil {
		err = wrong(problems)
	}
	if err != nil || f == nil {
		return err
	}
	a.log.Info("finishing a replay that has published part of its rows", "run", f.RunID)
	if _, err = a.do(ctx, f, pipeline.Options{Resume: true}); err != nil {
		return fmt.Errorf("replay %s did not finish, and has to be: %w", f.RunID, err)
	}
	return nil
}

// replay runs rows of the dead letter again.
func (a *attempt) replay(ctx context.Context) error {
	if err := a.settleReplay(ctx); err != nil {
		return err
	}
	filters, err := a.filters(ctx)
	if errors.Is(err, sinks.ErrNoDeadLetter) {
		a.log.Info("no row has failed: there is nothing to run again")
		return nil
	}
	if err != nil {
		return err
	}
	var sum schedule.Outcome
	var lost error
	for _, filter := range filters {
		err := a.replayOf(ctx, filter, &sum)
		if errors.Is(err, errTimeLost) {
			lost = errors.Join(lost, err)
		} else if err != nil {
			return err
		}
	}
	if len(sum.Report) == 0 && lost == nil {
		a.log.Info("no row of the dead letter is to be run again")
	}
	return lost
}

// errTimeLost keeps rows from the place of another time.
var errTimeLost = errors.New("which time they are for is not known any more, as the record of the run is gone, of which the schedule's keep says how long it stays")

// timed reports whether the output of a time has a place of its own.
func (a *attempt) timed() bool {
	return bytes.Contains(a.version.text, []byte("${run.scheduled_time"))
}

// filters are those of the replays: one for each run, with its time, where the output
// of a time has a place of its own.
func (a *attempt) filters(ctx context.Context) ([]pipeline.DeadFilter, error) {
	all := pipeline.DeadFilter{Stage: a.input.Replay.Stage, Run: a.input.Replay.Run}
	if !a.timed() {
		return []pipeline.DeadFilter{all}, nil
	}
	f, err := a.load(a.input.Values, "", a.run.Scheduled)
	if err != nil {
		return nil, err
	}
	d, err := f.DeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	groups, err := d.Groups(ctx, all)
	if err != nil {
		return nil, err
	}
	var runs []string
	for _, g := range groups {
		runs = append(runs, g.Runs...)
	}
	slices.Sort(runs)
	var filters []pipeline.DeadFilter
	for _, run := range slices.Compact(runs) {
		filters = append(filters, pipeline.DeadFilter{Stage: all.Stage, Run: run})
	}
	return filters, nil
}

// replayOf runs the rows that a filter takes, those with other columns after one another.
func (a *attempt) replayOf(ctx context.Context, filter pipeline.DeadFilter, sum *schedule.Outcome) error {
	values, scheduled := a.input.Values, a.run.Scheduled
	lost := false
	if filter.Run != "" && a.set.o.Run != nil {
		switch of, err := a.set.o.Run(ctx, filter.Run); {
		case err == nil:
			scheduled = of.Scheduled
			if in, err := InputOf(&of); err == nil && len(values) == 0 {
				values = in.Values
			}
		case errors.Is(err, keeper.ErrMissing):
			lost = a.timed()
		default:
			return fmt.Errorf("run %s, whose rows have failed: %w", filter.Run, err)
		}
	}
	f, err := a.load(values, "", scheduled)
	if err != nil {
		return err
	}
	replays, err := f.Replays(ctx, filter)
	if err != nil {
		return err
	}
	if lost && len(replays) > 0 {
		if scheduled, err = timeOf(filter.Run, replays); err != nil {
			return err
		}
	}
	for _, r := range replays { // find what cannot be before anything is done
		if _, err := f.ForReplay(ctx, r); err != nil {
			return err
		}
	}
	for _, r := range replays {
		f, err := a.load(values, "", scheduled) // with an id of its own
		if err != nil {
			return err
		}
		if f, err = f.ForReplay(ctx, r); err != nil {
			return err
		}
		a.log.Info("running again " + r.String())
		report, err := a.do(ctx, f, pipeline.Options{})
		if report != nil {
			o := outcome(report)
			sum.Rows, sum.Report = sum.Rows+o.Rows, o.Report
			sum.Files = append(sum.Files, o.Files...)
			sum.Files = sum.Files[:min(len(sum.Files), mostFiles)]
			a.tell(*sum)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// timeOf is the time that rows of a run are for, as their files say.
func timeOf(run string, replays []*pipeline.Replay) (time.Time, error) {
	var times []string
	for _, r := range replays {
		for _, f := range r.Files {
			times = append(times, f.Scheduled...)
		}
	}
	slices.Sort(times)
	if times = slices.Compact(times); len(times) == 1 {
		if at, err := time.Parse(time.RFC3339Nano, times[0]); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("rows of run %s: %w: rpipe dlq replay --run %s runs them for the present time", run, errTimeLost, run)
}
