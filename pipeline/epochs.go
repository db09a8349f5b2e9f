package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
	"github.com/rpipe-dev/rpipe/trace"
)

// tick is how often it is looked whether an epoch has lasted long enough.
const tick = 50 * time.Millisecond

// commits puts epochs on record while the run goes on, until stop is closed. Its
// error ends the run.
func (r *Run) commits(ctx context.Context, stop <-chan struct{}) error {
	every, _ := r.file.cadence()
	clock := time.NewTicker(min(tick, max(every, time.Millisecond)))
	defer clock.Stop()
	began := time.Now()
	for {
		select {
		case <-clock.C:
			if every > 0 && time.Since(began) >= every && r.ledger.Cut() {
				began = time.Now()
			}
		case e := <-r.ledger.Settled():
			if err := r.commitEpoch(ctx, e); err != nil {
				return fmt.Errorf("commit of epoch %d: %w", e.Number, err)
			}
			r.ledger.Committed()
		case <-stop:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// commitEpoch puts one epoch on record: parts first, then the journal, which is
// the commit point, then what may be visible already.
func (r *Run) commitEpoch(ctx context.Context, e stages.Epoch) (err error) {
	ctx, span := trace.Start(ctx, "commit epoch")
	if span.On() {
		span.Set(trace.Int64("rpipe.epoch", int64(e.Number)))
	}
	defer func() { span.End(err) }()
	if err := r.state.Lock(); err != nil {
		return err
	}
	if err := r.prepare(ctx, e.Number, r.committers()); err != nil {
		return err
	}
	failpoint.Hit("prepared")
	if err := r.record(ctx, e.Number, e.Pos, journal.Reading); err != nil {
		return err
	}
	failpoint.Hit("committed")
	if r.spool != nil {
		if err := r.spool.show(ctx); err != nil {
			return err
		}
	}
	if r.file.Commit.Publish != publishEpoch {
		return nil
	}
	return r.showEpoch(ctx)
}

// prepare makes the parts of an epoch ready, in outs.
func (r *Run) prepare(ctx context.Context, epoch uint64, outs []*output) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	for _, o := range outs {
		if err := o.prepare(ctx, epoch); err != nil {
			return err
		}
	}
	return nil
}

// committers are all outputs, the spool too.
func (r *Run) committers() []*output {
	all := r.outs
	if r.spool != nil {
		all = append(all[:len(all):len(all)], &r.spool.output)
	}
	return all
}

// record writes the journal: epoch, and all before it, is committed.
func (r *Run) record(ctx context.Context, epoch uint64, at string, phase journal.Phase) error {
	m, err := parseMark(at)
	if err != nil {
		return err
	}
	j := r.journal
	if j == nil {
		if err := r.vacant(ctx); err != nil {
			return err
		}
		j = &journal.Journal{
			Pipeline: r.file.Name, Run: r.id, Started: r.started.UTC(), Scheduled: r.file.Scheduled, Inputs: r.inputs,
			Times: r.env.Scheduled, Again: r.env.Again,
		}
	}
	next := *j
	if at != "" {
		next.Pos, next.Skip, next.Rows, next.Reads, next.Cursor = m.Pos, m.Skip, m.Rows, m.Reads, m.Cursor
	}
	next.Epoch, next.Phase = epoch, phase
	next.Notes = r.env.Notes(epoch)
	next.Skipped = r.rejects.skipped.Load()
	next.Outputs = map[string]*journal.Output{}
	next.Replay = r.file.replay.journalled()
	r.writing.Lock()
	for _, o := range r.committers() {
		if next.Outputs[o.label], err = o.saved(); err != nil {
			r.writing.Unlock()
			return err
		}
	}
	r.writing.Unlock()
	if err := r.state.Commit(ctx, &next); err != nil {
		r.unsure = r.mayBeThere(ctx)
		return err
	}
	r.journal = &next
	return nil
}

// vacant refuses a first commit over what another run has put on record since
// this one began.
func (r *Run) vacant(ctx context.Context) error {
	there, err := r.state.Journal(ctx)
	if err == nil && there != nil && there.Run != r.id {
		err = &UnfinishedError{Journal: there, State: r.state.Path()}
	}
	return err
}

// mayBeThere reports whether a commit that failed may have put the journal there
// all the same: the answer was lost, or the directory could not be forced to
// disk. What it lists must then stay.
func (r *Run) mayBeThere(ctx context.Context) bool {
	if store.IsURL(r.state.Path()) {
		return true
	}
	there, err := r.state.Journal(context.WithoutCancel(ctx))
	return err != nil || there != nil && there.Run == r.id
}

// showEpoch makes visible what is on record.
func (r *Run) showEpoch(ctx context.Context) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	for _, o := range r.outs {
		if err := o.publish(ctx); err != nil {
			return err
		}
		failpoint.Hit("published")
		if err := o.announce(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rotations is commits for input that cannot be read again: whatever is written
// becomes visible at each turn, and a cursor is saved for what of it is complete.
func (r *Run) rotations(ctx context.Context, stop <-chan struct{}) error {
	every, rows := r.file.cadence()
	clock := time.NewTicker(min(tick, max(every, time.Millisecond)))
	defer clock.Stop()
	began := time.Now()
	for {
		select {
		case <-clock.C:
			due := every > 0 && time.Since(began) >= every || rows > 0 && r.turn.rows.Load() >= rows
			if !due || r.turn.rows.Load() == 0 {
				continue
			}
			began = time.Now()
			if err := r.rotate(ctx); err != nil {
				return fmt.Errorf("commit: %w", err)
			}
		case <-stop:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// rotate ends the parts that are open and makes them visible.
func (r *Run) rotate(ctx context.Context) (err error) {
	ctx, span := trace.Start(ctx, "commit")
	defer func() { span.End(err) }()
	r.writing.Lock()
	defer r.writing.Unlock()
	at, _ := r.ledger.Frontier() // before the parts end: all of it is in them
	epoch := r.turn.number
	r.turn.number++
	r.turn.rows.Store(0)
	for _, o := range r.outs {
		if err := o.prepare(ctx, epoch); err != nil {
			return err
		}
	}
	failpoint.Hit("prepared")
	for _, o := range r.outs {
		if err := o.publish(ctx); err != nil {
			return err
		}
		if err := o.announce(ctx); err != nil {
			return err
		}
	}
	return r.saveCursor(ctx, at)
}

// saveCursor says where the next run goes on, where the source has such a place.
func (r *Run) saveCursor(ctx context.Context, at string) error {
	if r.state == nil || at == "" || r.env.Limited {
		return nil
	}
	m, err := parseMark(at)
	if err != nil || m.Cursor == "" {
		return err
	}
	return r.state.SaveCursor(ctx, m.Cursor, r.id)
}
