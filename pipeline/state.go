package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// State is where the pipeline's journal and cursor are.
func (f *File) State() (*journal.Dir, error) {
	place := f.StateDir
	if !store.IsURL(place) && !filepath.IsAbs(place) {
		place = filepath.Join(f.Dir(), place)
	}
	return journal.Open(place, f.Name, f.client())
}

// UnfinishedError says that a run has done work that a new one would give up.
type UnfinishedError struct {
	Journal *journal.Journal
	State   string // where it is on record
}

func (e *UnfinishedError) Error() string {
	j := e.Journal
	did := fmt.Sprintf("run %s did not finish: %d rows of its input are on record in %s", j.Run, j.Rows, e.State)
	if j.Phase == journal.Publishing {
		did = fmt.Sprintf("run %s has read everything and did not get to publish all of it: it is on record in %s", j.Run, e.State)
	}
	return did + "; rpipe run --resume goes on with it, --fresh gives it up and starts anew"
}

// openState looks for a run that did not finish.
func (r *Run) openState(ctx context.Context, o Options) error {
	if r.file.replay != nil {
		return r.openReplayState(ctx, o)
	}
	var err error
	if r.state, err = r.file.State(); err != nil {
		return &ConfigError{File: r.file.Path, At: r.file.doc.Place("state"), Path: "state", Err: err}
	}
	if o.Dry {
		return nil // a try, which leaves what is on record as it is
	}
	if o.Limit > 0 {
		return r.refuseTry(ctx)
	}
	if err := r.refuseReplay(ctx); err != nil {
		return err
	}
	j, err := r.state.Journal(ctx)
	if err != nil {
		return &EnvironmentError{Err: err}
	}
	switch {
	case j == nil && o.Resume && r.file.resumes != nil:
		return finishedElsewhere(r.id)
	case j == nil:
		if o.Resume {
			r.log.Info("there is nothing to resume: the run starts at the beginning")
		}
		return nil
	case o.Resume:
		return r.takeUp(ctx, j)
	case o.Fresh, j.Phase == journal.Stopped && j.Cursor == "": // rows behind a cursor would be read, and published, again
		return r.giveUp(j)
	}
	return &UnfinishedError{Journal: j, State: r.state.Path()}
}

// refuseTry refuses to write the first rows to where a run that did not finish
// has parts: it would take them for those of a dead one.
func (r *Run) refuseTry(ctx context.Context) error {
	j, err := r.state.Journal(ctx)
	if err != nil {
		return &EnvironmentError{Err: err}
	}
	if j == nil || j.Phase == journal.Stopped {
		return nil
	}
	return fmt.Errorf("%w; --dry-run shows the first rows and writes nothing", &UnfinishedError{Journal: j, State: r.state.Path()})
}

// takeUp makes this process go on with a run.
func (r *Run) takeUp(ctx context.Context, j *journal.Journal) error {
	if j.Run != r.id {
		return fmt.Errorf("state: run %s is on record, and this is %s", j.Run, r.id)
	}
	if err := r.state.Lock(); err != nil {
		return err
	}
	r.resumed = *j
	if err := r.sameJournal(ctx); err != nil {
		return err
	}
	r.journal = j
	r.env.Remember(j.Notes)
	r.log.Info("going on with a run that did not finish", "run", j.Run, "rows_done", j.Rows, "epoch", j.Epoch)
	return nil
}

// sameJournal refuses to go on from a journal that is not the one on record any
// more: until the lock was ours, its process may have gone on.
func (r *Run) sameJournal(ctx context.Context) error {
	now, err := r.state.Journal(ctx)
	if err != nil {
		return &EnvironmentError{Err: err}
	}
	if was := &r.resumed; now == nil || now.Run != was.Run || now.Epoch != was.Epoch || now.Phase != was.Phase || !now.Updated.Equal(was.Updated) {
		return finishedElsewhere(was.Run)
	}
	return nil
}

func finishedElsewhere(run string) error {
	return fmt.Errorf("state: another process went on with run %s while this one began; see rpipe state, and start again", run)
}

// giveUp keeps others from what is on record, which dropGiven drops.
func (r *Run) giveUp(j *journal.Journal) error {
	if err := r.state.Lock(); err != nil {
		return err
	}
	r.given = j
	return nil
}

// dropGiven drops the record of a run that this one takes the place of, once
// nothing is left that could keep this one from its start.
func (r *Run) dropGiven(ctx context.Context) error {
	if r.given == nil {
		return nil
	}
	r.log.Warn("a run that did not finish is given up", "run", r.given.Run, "rows_done", r.given.Rows)
	return r.state.Drop(ctx)
}

// settleMode decides how the run commits, once the source and the sinks are
// open, and refuses to go on with a run whose input is not what it was.
func (r *Run) settleMode(ctx context.Context, o Options) error {
	f := r.file
	if f.replay != nil {
		return r.settleReplay(o)
	}
	var err error
	if r.mode, err = f.mode(r.reader.Traits(), o); err != nil {
		return &ConfigError{File: f.Path, At: f.doc.Place("commit"), Path: "commit", Err: err}
	}
	if r.mode == modeExactlyOnce {
		if err := r.state.Writable(); err != nil && f.Commit.Mode == modeAuto {
			r.log.Warn("no record is kept of this run, and it cannot be resumed", "error", err)
			r.mode = modeNone
		} else if err != nil {
			return &EnvironmentError{Err: err}
		}
	}
	if r.mode != modeExactlyOnce {
		if r.resumed.Run != "" {
			return errors.New("state: the run that is on record was one of exactly_once, and this one cannot be: --fresh gives it up")
		}
		return nil
	}
	if r.inputs, err = r.fingerprint(ctx); err != nil {
		return err
	}
	return r.sameInputs()
}

// sameInputs refuses to go on where anything that decides the output has changed.
func (r *Run) sameInputs() error {
	if r.resumed.Run == "" || r.resumed.Phase == journal.Publishing {
		return nil
	}
	var changed []string
	names := maps.Clone(r.inputs)
	maps.Copy(names, r.resumed.Inputs)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		now, is := r.inputs[name]
		was, had := r.resumed.Inputs[name]
		switch {
		case !had:
			changed = append(changed, name+" is new")
		case !is:
			changed = append(changed, name+" is gone")
		case now != was:
			changed = append(changed, name+" has changed")
		}
	}
	if len(changed) == 0 {
		return nil
	}
	const most = 5
	if n := len(changed); n > most {
		changed = append(changed[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	return &ConfigError{File: r.file.Path, At: r.file.doc.Place(""), Path: "resume", Err: &ChangedError{r.resumed.Run, changed}}
}

// ChangedError says that a run cannot go on, since what decides its output is not what
// it was.
type ChangedError struct {
	Run     string
	Changed []string // such as "the pipeline file has changed"
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("run %s cannot go on, since its output would be of two makes: %s; restore what it was, or give the run up with --fresh",
		e.Run, strings.Join(e.Changed, ", "))
}

// openSpool opens the durable input of the first blocking stage.
func (r *Run) openSpool(ctx context.Context) error {
	f := r.file
	i := f.blocking()
	if i < 0 || f.Commit.Spool == spoolOff || r.resumed.Phase == journal.Publishing {
		return nil
	}
	label := f.Labels[i]
	var err error
	if r.spool, err = openSpool(ctx, r.state.Spool(label), r.env.For(label), &r.writing); err != nil {
		return &EnvironmentError{Err: err}
	}
	if r.resumed.Run != "" {
		if err := r.spool.resume(ctx, &r.resumed); err != nil {
			return err
		}
		if err := r.spool.recall(ctx); err != nil {
			return err
		}
	}
	r.env.Spool = func(stage string) stages.Spool {
		if stage == label {
			return r.spool
		}
		return nil
	}
	return nil
}

// client is the way to S3.
func (f *File) client() *store.Client {
	if f.s3 == nil {
		f.s3 = store.New(f.S3)
	}
	return f.s3
}

// endless reports whether the source may have no end.
func (f *File) endless() bool {
	e, ok := f.Source.Use.(sources.Endless)
	return ok && e.Endless()
}
