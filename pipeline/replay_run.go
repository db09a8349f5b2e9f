package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/rpipe-dev/rpipe/pipeline/journal"
)

// modeReplay is how a replay commits. Everything is on record at its end, before
// anything is visible: the journal is the commit point. What follows it, output
// that becomes visible and files that leave the dead letter, a later process can
// finish; what stands before it leaves no trace.
const modeReplay = "replay"

// errReplayStopped ends a replay that was asked to stop.
var errReplayStopped = errors.New("stopped before all rows were done: nothing is published, and the dead letter is as it was")

// UnfinishedReplayError says that a replay died while it published.
type UnfinishedReplayError struct {
	Run   string
	State string // where it is on record
}

func (e *UnfinishedReplayError) Error() string {
	return fmt.Sprintf("a replay of the dead letter, run %s, did not get to publish all of its output: it is on record in %s; rpipe dlq replay goes on with it", e.Run, e.State)
}

// openReplayState looks for the run that did not finish, whose output a replay
// would clear away, and for the replay that this one goes on with.
func (r *Run) openReplayState(ctx context.Context, o Options) error {
	state, err := r.file.State()
	if err != nil {
		return err
	}
	j, err := state.Journal(ctx)
	if err != nil {
		return &EnvironmentError{Err: err}
	}
	if j != nil && !o.Dry {
		return fmt.Errorf("replay: run %s did not finish, and what it has done would be lost: rpipe run --resume finishes it, rpipe run --fresh gives it up and runs anew; its record is in %s", j.Run, state.Path())
	}
	if r.state, err = r.file.replayState(); err != nil || o.Dry {
		return err
	}
	if j, err = r.state.Journal(ctx); err != nil {
		return &EnvironmentError{Err: err}
	}
	switch {
	case j == nil:
		return nil
	case r.file.resumes == nil:
		return &UnfinishedReplayError{Run: j.Run, State: r.state.Path()}
	}
	return r.takeUp(ctx, j)
}

// refuseReplay refuses to run beside a replay that died while it published: the
// run would clear away what it has ready.
func (r *Run) refuseReplay(ctx context.Context) error {
	if r.file.DeadLetter == nil {
		return nil
	}
	state, err := r.file.replayState()
	if err != nil {
		return err
	}
	j, err := state.Journal(ctx)
	if err != nil {
		return &EnvironmentError{Err: err}
	}
	if j != nil {
		return &UnfinishedReplayError{Run: j.Run, State: state.Path()}
	}
	return nil
}

// GiveUpReplay drops the record of the replay that died while it published. What it
// has made visible stays; what it had ready and not named in a manifest goes with
// the next run.
func (f *File) GiveUpReplay(ctx context.Context) error {
	state, err := f.replayState()
	if err != nil {
		return err
	}
	if err := state.Lock(); err != nil {
		return err
	}
	defer state.Unlock()
	if err := state.Drop(ctx); err != nil {
		return &EnvironmentError{Err: err}
	}
	return nil
}

// settleReplay decides how a replay commits.
func (r *Run) settleReplay(o Options) error {
	if o.Dry {
		r.mode = modeNone
		return nil
	}
	r.mode = modeReplay
	if err := r.state.Writable(); err != nil {
		return &EnvironmentError{Err: err}
	}
	return nil
}

// recordable reports whether a later process could go on with all outputs, which
// it could not with rows that were printed.
func (r *Run) recordable() bool {
	for _, o := range r.outs {
		if _, ok := o.resumer(); !ok {
			return false
		}
	}
	return true
}

// finishing are the outputs in the order in which they finish. The sinks come
// last, so that where the dead letter fails none of them is committed; in a
// replay first, since rows leave the dead letter when they are in the output.
func (r *Run) finishing() []*output {
	order := make([]*output, 0, len(r.outs))
	for i := range r.outs {
		at := len(r.outs) - 1 - i
		if r.file.replay != nil {
			at = i
		}
		order = append(order, r.outs[at])
	}
	return order
}

// journalled is what a journal keeps of a replay.
func (r *replaying) journalled() *journal.Replay {
	if r == nil {
		return nil
	}
	j := &journal.Replay{Stage: r.Stage, Dir: r.Dir, Run: r.Run}
	for _, f := range r.Files {
		j.Files = append(j.Files, f.Path)
	}
	return j
}
