package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/trace"
)

// errKept ends a run that was asked to stop and would replace complete output by
// a part of it.
var errKept = errors.New("stopped before the end of the input: the complete output of before stays and nothing of this run is published, since if_exists would replace the one by a part of the other")

// errUnfinished ends a run that was asked to stop before a stage had its whole
// input.
var errUnfinished = errors.New("stopped before the end of the input, of which a stage needs the whole: nothing is published")

// resumable ends the message of a run that --resume goes on with.
const resumable = "; what it has done is on record: rpipe run --resume goes on"

// Drain asks the run to stop reading and to commit what it has read. What is
// not finished within the file's grace is given up; so is, at once, what could
// neither be published nor put on record.
func (r *Run) Drain() {
	r.graph.Drain()
	if r.mode != modeExactlyOnce && r.hidden() != nil {
		r.graph.Stop(r.hidden())
		return
	}
	grace := time.Duration(r.file.Grace)
	if grace <= 0 {
		return
	}
	r.deadline.Do(func() {
		r.stopDeadline = time.AfterFunc(grace, func() {
			r.graph.Stop(fmt.Errorf("not finished within grace, %v after it was asked to stop: nothing of it is published", grace))
		}).Stop
	})
}

// drained reports whether the run was asked to stop and left rows unread.
func (r *Run) drained() bool { return r.graph.Drained() && !r.feed.complete.Load() }

// hidden says why what a drained run has done must not be published; nil where
// it may.
func (r *Run) hidden() error {
	if !r.drained() {
		return nil
	}
	if r.mode == modeReplay {
		return errReplayStopped
	}
	if r.file.blocking() >= 0 {
		return errUnfinished
	}
	if r.replaces() {
		return errKept
	}
	return nil
}

// replaces reports whether publishing would remove complete output.
func (r *Run) replaces() bool {
	for _, o := range r.outs {
		if w, ok := o.writer.(sinks.Replacer); ok && w.ReplacesComplete() {
			return true
		}
	}
	return false
}

// nothingLeft is an error where every row failed, and skipping them all would
// leave an empty output, or one in place of what is there.
func (r *Run) nothingLeft() error {
	skipped, dead := r.rejects.counts()
	s := r.Snapshot()
	if skipped+dead == 0 || s.Written() > 0 || r.resumed.Rows > 0 {
		return nil
	}
	if dead > 0 && !r.replaces() {
		return nil // the dead letter has them
	}
	last, ok := r.rejects.last.Load().(failure)
	if !ok {
		return nil // an earlier process gave them up, and has said why
	}
	return fmt.Errorf("no row is left to write, since %d failed, so nothing is published; the last error: %w", skipped+dead, last.err)
}

// Wait waits for the end of the run, commits its output, or removes it where
// the run failed, and releases everything. The report is never nil. It names
// the files where they are committed, also if something failed after that.
func (r *Run) Wait() (*Report, error) {
	err := r.graph.Wait()
	close(r.stop)
	r.committing.Wait()
	if err == nil { // the graph may have ended before a commit failed
		err = r.notPut
	}
	r.deadline.Do(func() {}) // from here on a Drain sets none
	if r.stopDeadline != nil {
		r.stopDeadline()
	}
	elapsed := time.Since(r.started)
	if err == nil {
		err = r.nothingLeft()
	}
	committed := false
	if err == nil {
		ctx, span := trace.Start(context.WithoutCancel(r.ctx), "commit")
		err = r.commit(ctx) // the rows are all there: nothing may interrupt it now
		span.End(err)
		committed = err == nil || errors.Is(err, sinks.ErrCommitted)
	}
	report := r.report(committed, elapsed)
	after := r.release(committed)
	if committed && after != nil {
		after = fmt.Errorf("%w; then: %w", sinks.ErrCommitted, after)
	}
	if committed && after == nil && !r.env.Limited && !r.drained() {
		report.Compacted, after = r.compacted(r.ctx)
	}
	if err != nil && !committed && r.journal != nil && !r.kept {
		err = &resumableError{err, r.mode == modeReplay}
	}
	if err = errors.Join(err, after); err != nil {
		report.Error = err.Error()
	}
	r.endSpan(report, err)
	return report, err
}

// resumableError is that of a run that a later process can go on with.
type resumableError struct {
	err    error
	replay bool
}

func (e *resumableError) Error() string {
	if e.replay {
		return e.err.Error() + "; what it has done is on record: rpipe dlq replay goes on"
	}
	return e.err.Error() + resumable
}

func (e *resumableError) Unwrap() error { return e.err }

// commit makes the output visible. Where nothing was put on record before, and
// nothing needs to be, the sinks and the dead letter commit by themselves, each
// step before the next: until the last, everything can be taken back. Else the
// journal is the commit point, and what follows it a later process can finish.
func (r *Run) commit(ctx context.Context) error {
	if why := r.hidden(); why != nil {
		if r.mode != modeExactlyOnce {
			return why
		}
		if err := r.recordEnd(ctx, journal.Stopped); err != nil {
			return errors.Join(why, err)
		}
		return why
	}
	if !r.needsJournal() {
		return r.commitAtOnce(ctx)
	}
	phase := journal.Publishing
	if r.drained() {
		phase = journal.Stopped
	}
	if err := r.recordEnd(ctx, phase); err != nil {
		return err
	}
	failpoint.Hit("committed")
	return r.publish(ctx)
}

// needsJournal reports whether the end of the run must be on record before
// anything is visible.
func (r *Run) needsJournal() bool {
	switch {
	case r.journal != nil:
		return true
	case r.mode == modeExactlyOnce:
		_, dead := r.rejects.counts()
		at, _ := r.ledger.Frontier()
		m, err := parseMark(at)
		return r.drained() || r.sinks() > 1 || dead > 0 || err != nil || m.Cursor != ""
	case r.mode == modeReplay:
		return r.recordable()
	}
	return false
}

// sinks is how many outputs a user sees.
func (r *Run) sinks() int { return len(r.file.branches()) }

// recordEnd puts on record all that is not yet.
func (r *Run) recordEnd(ctx context.Context, phase journal.Phase) error {
	if err := r.state.Lock(); err != nil {
		return err
	}
	last := r.ledger.Current().Number
	outs := r.committers()
	if phase == journal.Publishing {
		outs = r.outs // nobody will read the spool
	}
	if err := r.prepareRest(ctx, last, outs, phase == journal.Publishing); err != nil {
		return err
	}
	failpoint.Hit("prepared")
	at, open := r.ledger.Frontier()
	if open > 0 && r.mode == modeExactlyOnce {
		return fmt.Errorf("%d reads are not accounted for, though all stages have ended: nothing is committed", open)
	}
	return r.record(ctx, last, at, phase)
}

// prepareRest makes ready, in outs, the epochs that are not: two of the source at
// most, and, where the input was read to its end, the final one. What blocking
// stages have sent on before that comes again.
func (r *Run) prepareRest(ctx context.Context, last uint64, outs []*output, final bool) error {
	from := last // without epochs of the source there is the one
	if r.mode == modeExactlyOnce {
		from = r.resumed.Epoch + 1
		if r.journal != nil {
			from = r.journal.Epoch + 1
		}
	}
	for e := from; e <= last; e++ {
		if err := r.prepare(ctx, e, outs); err != nil {
			return err
		}
	}
	if r.mode == modeExactlyOnce && final {
		return r.prepare(ctx, stages.FinalEpoch, outs)
	}
	return nil
}

// publish makes visible what is on record, and ends the run.
func (r *Run) publish(ctx context.Context) error {
	complete := !r.env.Limited && !r.drained()
	for _, o := range r.outs {
		if err := o.publish(ctx); err != nil {
			return err
		}
		failpoint.Hit("published")
	}
	if err := r.finish(ctx, complete); err != nil {
		return err
	}
	if !complete {
		return nil // the journal stays: --resume may go on
	}
	if err := r.saveCursor(ctx, r.lastMark()); err != nil {
		return fmt.Errorf("%w; then: %w", sinks.ErrCommitted, err)
	}
	failpoint.Hit("cursor")
	if r.spool != nil {
		_ = r.spool.writer.Abort() // what it leaves goes with the state
	}
	if err := r.state.Drop(ctx); err != nil {
		return fmt.Errorf("%w; then: %w", sinks.ErrCommitted, err)
	}
	r.journal = nil
	return nil
}

// lastMark is the end of what was read.
func (r *Run) lastMark() string {
	if at, _ := r.ledger.Frontier(); at != "" {
		return at
	}
	return mark{Rows: r.resumed.Rows, Reads: r.resumed.Reads, Skip: r.resumed.Skip, Cursor: r.resumed.Cursor, Pos: r.resumed.Pos}.String()
}

// commitAtOnce commits a run of which nothing is on record. Each step is taken
// for the sinks and for the dead letter before the next one: their parts are
// closed and forced to disk before the first is renamed, and renamed before a
// manifest commits them. Until the last step, the sink's manifest, release can
// take everything back.
func (r *Run) commitAtOnce(ctx context.Context) error {
	complete := !r.env.Limited && !r.drained()
	last := r.ledger.Current().Number
	if r.mode == modeEach {
		last = r.turn.number
	}
	if err := r.prepareRest(ctx, last, r.outs, true); err != nil {
		return err
	}
	for _, o := range r.outs {
		if err := o.publish(ctx); err != nil {
			return err
		}
	}
	after := r.finish(ctx, complete)
	if after != nil && !errors.Is(after, sinks.ErrCommitted) {
		return after
	}
	at, _ := r.ledger.Frontier()
	if err := r.saveCursor(ctx, at); err != nil {
		after = errors.Join(after, fmt.Errorf("%w; then: %w", sinks.ErrCommitted, err))
	}
	return after
}

// finish commits each output. One that is committed, and could not do what comes
// after that, keeps the others from nothing: with ErrCommitted in the chain of
// the error all of them are.
func (r *Run) finish(ctx context.Context, complete bool) error {
	var after error
	for _, o := range r.finishing() {
		err := o.finish(ctx, complete)
		if err != nil && !errors.Is(err, sinks.ErrCommitted) {
			return err
		}
		after = errors.Join(after, err)
		failpoint.Hit("finished")
	}
	return after
}

// release gives back everything, in the opposite order of open. What was not
// committed is removed, but for what is on record.
func (r *Run) release(committed bool) error {
	errs := []error{r.releaseR()}
	if r.reader != nil {
		if err := r.reader.Close(); err != nil && committed {
			errs = append(errs, err)
		}
	}
	errs = append(errs, r.releaseOutputs(committed)...)
	if r.env != nil {
		r.env.Close()
		errs = append(errs, os.RemoveAll(r.env.Temp))
	}
	if r.state != nil {
		r.state.Unlock()
	}
	r.file.client().Close()
	return errors.Join(errs...)
}

func (r *Run) releaseOutputs(committed bool) (errs []error) {
	kept := !committed && (r.journal != nil || r.unsure || r.mode == modeEach && r.turn.number > 0)
	for _, o := range r.committers() {
		switch w, isDead := o.writer.(*sinks.DeadLetterWriter); {
		case kept:
			errs = append(errs, o.suspend())
		case isDead && committed:
			errs = append(errs, o.named(w.Close()))
		default:
			errs = append(errs, o.named(o.writer.Abort())) // of a committed run: nothing is left to remove
		}
	}
	return errs
}
