package pipeline

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// Options are what one run adds to its file.
type Options struct {
	Limit int64        // rows read at most; 0 is all
	Log   *slog.Logger // nil discards
}

// depth is how many batches a channel between two stages holds.
const depth = 2

// Run is a pipeline that runs. Start makes it, Wait ends it.
type Run struct {
	file    *File
	id      string
	log     *slog.Logger
	started time.Time
	env     *stages.Env
	pool    *rpool.Pool
	reader  sources.Reader
	writer  sinks.Writer
	rejects *rejects
	feed    *feed
	ledger  *stages.Ledger
	graph   *stages.Run

	deadline     sync.Once
	stopDeadline func() bool // set by deadline; the run may end without
}

// Start opens everything a run needs, and starts it. What fails before the
// first row is an error that ExitCode tells apart: the configuration (2) or the
// environment (3). ctx ends the run at once; Drain ends it after what was read.
func Start(ctx context.Context, f *File, o Options) (*Run, error) {
	r := &Run{file: f, id: f.RunID, log: o.Log, started: time.Now()}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if err := r.open(ctx, o); err != nil {
		return nil, errors.Join(err, r.release(false))
	}
	return r, nil
}

// open brings up the parts in the order in which it is cheapest to find out
// that they cannot be had.
func (r *Run) open(ctx context.Context, o Options) error {
	f := r.file
	root := &stages.Env{
		Run: r.id, Pipeline: f.Name, Dir: f.Dir(), Temp: filepath.Join(os.TempDir(), "rpipe-run-"+r.id),
		Parallel: runtime.GOMAXPROCS(0), Memory: int64(f.Memory) / 4, Limited: o.Limit > 0, Log: r.log,
	}
	r.env = root.For("")
	var err error
	if r.writer, err = f.Sink.Use.Open(ctx, r.env.For("sink")); err != nil {
		return at(f, "sink", err)
	}
	if r.rejects, err = openRejects(ctx, f, r.env.For("dead_letter")); err != nil {
		return err
	}
	r.env.Reject = r.rejects.add
	if r.reader, err = f.Source.Use.Open(ctx, r.env.For("source"), ""); err != nil {
		return at(f, "source", err)
	}
	if f.NeedsR() {
		if err := r.openPool(ctx); err != nil {
			return err
		}
	}
	return r.join(ctx, o)
}

// openPool starts R and waits for the first worker, so that what is wrong with
// it is said before anything is read.
func (r *Run) openPool(ctx context.Context) error {
	var err error
	r.env.Printed = stages.NewRelay(r.log)
	if r.pool, err = rpool.New(r.file.poolOptions(r.log, r.env.Printed)); err != nil {
		return &EnvironmentError{Err: err}
	}
	r.env.Pool, r.env.R = r.pool, r.file.Environment()
	if err := r.pool.Warm(ctx, r.env.R, 1); err != nil {
		return rError(r.file, err)
	}
	return nil
}

// join builds the stages and starts the graph.
func (r *Run) join(ctx context.Context, o Options) error {
	f := r.file
	built := make([]stages.Stage[frame.Frame, frame.Frame], len(f.Stages))
	for i, s := range f.Stages {
		var err error
		if built[i], err = s.Use.Build(r.env.For(f.Labels[i])); err != nil {
			return at(f, f.stagePath(i), err)
		}
	}
	r.ledger = stages.NewLedger(int64(f.Memory), nil)
	r.feed = &feed{reader: r.reader, ledger: r.ledger, limit: o.Limit}
	r.graph = stages.NewRun(ctx)
	edge := stages.From(r.graph, "source", depth, r.feed.run)
	for i, s := range built {
		edge = stages.Then(r.graph, f.Labels[i], depth, edge, s)
	}
	stages.To(r.graph, "sink", edge, r.write)
	return nil
}

// write is the sink's loop.
func (r *Run) write(ctx context.Context, in <-chan *stages.Rows) error {
	for {
		b, ok, err := stages.Receive(ctx, in)
		if !ok || err != nil {
			return err
		}
		if err := r.writer.Write(ctx, b); err != nil {
			return stages.At(b, err)
		}
		stages.Wrote(ctx, b)
		b.Settle(nil)
	}
}

// errKept ends a run that was asked to stop and would replace complete output by
// a part of it.
var errKept = errors.New("stopped before the end of the input: the complete output of before stays and nothing of this run is published, since if_exists would replace the one by a part of the other")

// Drain asks the run to stop reading and to commit what it has read. What is
// not finished within the file's grace is given up; so is, at once, what would
// replace complete output.
func (r *Run) Drain() {
	r.graph.Drain()
	if r.keepsOld() {
		r.graph.Stop(errKept)
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

// keepsOld reports whether the run must not commit, for the sake of what is there.
func (r *Run) keepsOld() bool {
	w, ok := r.writer.(sinks.Replacer)
	return ok && w.ReplacesComplete() && r.drained()
}

// nothingLeft is an error where every row failed, and skipping them all would
// leave an empty output, or one in place of what is there.
func (r *Run) nothingLeft() error {
	skipped, dead := r.rejects.counts()
	meters := r.graph.Meters()
	if skipped+dead == 0 || meters[len(meters)-1].Read().RowsOut > 0 {
		return nil
	}
	w, ok := r.writer.(sinks.Replacer)
	if dead > 0 && !(ok && w.ReplacesComplete()) {
		return nil // the dead letter has them
	}
	last := r.rejects.last.Load().(failure)
	return fmt.Errorf("no row is left to write, since %d failed, so nothing is published; the last error: %w", skipped+dead, last.err)
}

// Wait waits for the end of the run, commits its output, or removes it where
// the run failed, and releases everything. The report is never nil. It names
// the files where they are committed, also if something failed after that.
func (r *Run) Wait() (*Report, error) {
	err := r.graph.Wait()
	r.deadline.Do(func() {}) // from here on a Drain sets none
	if r.stopDeadline != nil {
		r.stopDeadline()
	}
	elapsed := time.Since(r.started)
	if err == nil && r.keepsOld() {
		err = errKept
	}
	if err == nil {
		err = r.nothingLeft()
	}
	var parts []sinks.Part
	committed := false
	if err == nil {
		parts, err = r.commit(context.Background()) // the rows are all there: nothing may interrupt it now
		committed = err == nil || errors.Is(err, sinks.ErrCommitted)
	}
	if !committed {
		parts = nil
	}
	report := r.report(parts, elapsed)
	after := r.release(committed)
	if committed && after != nil {
		after = fmt.Errorf("%w; then: %w", sinks.ErrCommitted, after)
	}
	if err = errors.Join(err, after); err != nil {
		report.Error = err.Error()
	}
	return report, err
}

// commit makes the output visible. Each step is taken for the sink and for the
// dead letter before the next one: their parts are closed and forced to disk
// before the first is renamed, and renamed before a manifest commits them. Until
// the last step, the sink's manifest, release can take everything back.
func (r *Run) commit(ctx context.Context) ([]sinks.Part, error) {
	complete := !r.env.Limited && !r.drained()
	var parts []sinks.Part
	steps := []struct {
		part string
		do   func() error
	}{
		{"sink", func() (err error) { parts, err = r.writer.Prepare(ctx, 0); return err }},
		{"dead_letter", func() error { return r.rejects.prepare(ctx) }},
		{"sink", func() error { return r.writer.Publish(ctx, parts) }},
		{"dead_letter", func() error { return r.rejects.publish(ctx) }},
		{"dead_letter", func() error { return r.rejects.finish(ctx, complete) }},
		{"sink", func() error { return r.writer.Finish(ctx, complete) }},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return parts, fmt.Errorf("%s: %w", s.part, err)
		}
	}
	return parts, nil
}

// release gives back everything, in the opposite order of open. What was not
// committed is removed.
func (r *Run) release(committed bool) error {
	var errs []error
	if r.pool != nil {
		errs = append(errs, r.pool.Close())
		r.env.Printed.Close()
	}
	if r.reader != nil {
		if err := r.reader.Close(); err != nil && committed {
			errs = append(errs, err)
		}
	}
	if r.writer != nil {
		errs = append(errs, r.writer.Abort()) // of a committed run: nothing is left to remove
	}
	if r.rejects != nil {
		errs = append(errs, r.rejects.release(committed))
	}
	if r.env != nil {
		r.env.Close()
		errs = append(errs, os.RemoveAll(r.env.Temp))
	}
	return errors.Join(errs...)
}

// newRunID names a run: its start in UTC and four random bytes, so that names
// sort by time.
func newRunID(start time.Time) string {
	var b [4]byte
	rand.Read(b[:])
	return start.Format("20060102T150405") + "-" + hex.EncodeToString(b[:])
}
