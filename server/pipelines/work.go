package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/sourcegraph/conc/panics"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/schedule"
)

// Input is what is asked of a run beside its time.
type Input struct {
	Values map[string]string `json:"values,omitempty"` // of variables
	Replay *Replay           `json:"replay,omitempty"` // rows of the dead letter run again, and nothing else
}

// Replay says which rows of the dead letter run again. What is "" takes all.
type Replay struct {
	Stage string `json:"stage,omitempty"`
	Run   string `json:"run,omitempty"`
}

// InputOf is the input of a run.
func InputOf(r *schedule.Run) (in Input, err error) {
	if len(r.Input) > 0 {
		if err := json.Unmarshal(r.Input, &in); err != nil {
			return in, fmt.Errorf("what the run was asked: %w", err)
		}
	}
	return in, nil
}

// work is a pipeline as the keeper runs it.
type work struct {
	set  *Set
	name string
}

// attempt is one attempt of a run.
type attempt struct {
	*work
	run     *schedule.Run
	input   Input
	version *version
	log     *slog.Logger
	tell    func(schedule.Outcome)
}

// Run implements keeper.Work. The record of the pipeline's state has the run's id: a
// later call with it goes on from there.
func (w *work) Run(ctx context.Context, run *schedule.Run, tell func(schedule.Outcome), line func(string)) (err error) {
	var caught panics.Catcher
	caught.Try(func() { err = w.attempt(ctx, run, tell, line) })
	if p := caught.Recovered(); p != nil {
		err = fmt.Errorf("pipeline %s: a defect of rpipe: %w", w.name, p.AsError())
	}
	return err
}

func (w *work) attempt(ctx context.Context, run *schedule.Run, tell func(schedule.Outcome), line func(string)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	a := &attempt{work: w, run: run, tell: tell, log: newLog(line)}
	var err error
	if a.input, err = InputOf(run); err != nil {
		return err
	}
	release, err := w.set.turn(ctx, w.name, a.log)
	if err != nil {
		return err
	}
	defer release()
	if a.version = w.set.version(w.name); a.version == nil {
		return fmt.Errorf("pipeline %s: its file is gone from %s, or has an error and never had a version without", w.name, w.set.o.Dir)
	}
	if a.input.Replay != nil {
		err = a.replay(ctx)
	} else {
		err = a.once(ctx)
	}
	if err != nil {
		for _, call := range pipeline.Traceback(err) {
			line("  " + call)
		}
	}
	return err
}

// turn waits until no other run of the pipeline works, and fewer than may at once.
func (s *Set) turn(ctx context.Context, name string, log *slog.Logger) (release func(), err error) {
	s.mu.Lock()
	mine := s.turns[name]
	if mine == nil {
		mine = make(chan struct{}, 1)
		s.turns[name] = mine
	}
	s.mu.Unlock()
	take := func(c chan struct{}, what string) error {
		select {
		case c <- struct{}{}:
			return nil
		default:
			log.Info("waiting for " + what)
		}
		select {
		case c <- struct{}{}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err := take(mine, "another run of this pipeline"); err != nil {
		return nil, err
	}
	if err := take(s.slots, "runs of other pipelines: pipelines.runs says how many there are at once"); err != nil {
		<-mine
		return nil, err
	}
	return func() { <-s.slots; <-mine }, nil
}

// load loads the file for a run of an id and a time.
func (a *attempt) load(values map[string]string, id string, scheduled time.Time) (*pipeline.File, error) {
	g := a.set.given(a.version, values)
	g.Run, g.Scheduled, g.Again = id, scheduled, true
	g.Alone = id == a.run.ID && a.forNow()
	f, problems := g.Load(a.version.path)
	return f, wrong(problems)
}

// forNow reports whether the run was asked for by hand, and for no time: another one of
// the same second has nothing to do with it.
func (a *attempt) forNow() bool {
	since := a.run.Created.Sub(a.run.Scheduled)
	return a.run.Cause == schedule.ByHand && since >= 0 && since < time.Second
}

// wrong is an error of the problems that are errors; nil for none.
func wrong(problems configs.Problems) error {
	if errs := problems.Errors(); len(errs) > 0 {
		return errs
	}
	return nil
}

// once runs the pipeline. What a run before has left on record is finished where it has
// made rows visible, and given up otherwise: that run begins anew when it comes again.
func (a *attempt) once(ctx context.Context) error {
	if err := a.settleReplay(ctx); err != nil {
		return err
	}
	f, err := a.load(a.input.Values, a.run.ID, a.run.Scheduled)
	if err != nil {
		return err
	}
	j, err := f.Unfinished(ctx)
	if err != nil {
		return err
	}
	o := pipeline.Options{}
	switch {
	case j == nil:
	case j.Run == a.run.ID:
		f.GoOn(j)
		o.Resume = true
	case f.MustFinish(j):
		a.log.Info("finishing a run before that has published part of its rows", "run", j.Run)
		if err := a.finish(ctx, j); err != nil {
			return fmt.Errorf("run %s before did not finish, and has to be: %w", j.Run, err)
		}
	default:
		o.Fresh = true
	}
	report, err := a.do(ctx, f, o)
	var changed *pipeline.ChangedError
	if o.Resume && errors.As(err, &changed) && !f.MustFinish(j) {
		a.log.Warn("what was on record is given up, since " + strings.Join(changed.Changed, ", "))
		if f, err = a.load(a.input.Values, a.run.ID, a.run.Scheduled); err != nil {
			return err
		}
		report, err = a.do(ctx, f, pipeline.Options{Fresh: true})
	}
	if report != nil {
		a.tell(outcome(report))
	}
	return err
}

// finish ends a run of the past that is on record.
func (a *attempt) finish(ctx context.Context, j *journal.Journal) error {
	scheduled, err := time.Parse(time.RFC3339Nano, j.Scheduled)
	if err != nil {
		return fmt.Errorf("its scheduled time: %w", err)
	}
	var in Input
	if a.set.o.Run != nil {
		if r, err := a.set.o.Run(ctx, j.Run); err == nil {
			if in, err = InputOf(&r); err != nil {
				return err
			}
		}
	}
	f, err := a.load(in.Values, j.Run, scheduled)
	if err != nil {
		return err
	}
	f.GoOn(j)
	_, err = a.do(ctx, f, pipeline.Options{Resume: true})
	return err
}

// newLog is a log that goes, without times, to the run's.
func newLog(line func(string)) *slog.Logger {
	leave := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	return slog.New(slog.NewTextHandler(lines(line), &slog.HandlerOptions{ReplaceAttr: leave}))
}

// lines hands over what is written, a record each time.
type lines func(string)

func (l lines) Write(p []byte) (int, error) {
	l(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
