package sinks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// fileWriter is the Writer of every file sink: it divides frames by epoch and
// partition, cuts files at their limits, and commits.
type fileWriter struct {
	out    *output
	format format
	layout layout
	env    *stages.Env

	schema *frame.Schema // of the first batch, whole; nil before it
	split  *partitioner  // nil without partition_by
	parts  *partSet

	published []Part
	prepared  []Part // by Prepare, or by earlier processes
	ended     bool   // Finish, Abort or Suspend was called
	resumed   bool   // Resume was called
}

// openFiles is Open of every file sink.
func openFiles(ctx context.Context, env *stages.Env, l layout, fm format) (Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if l.MaxOpen <= 0 {
		l.MaxOpen = defaultMaxOpen
	}
	out, err := openOutput(ctx, &l, fm, env)
	if l.adds && errors.Is(err, ErrExists) {
		return nil, &Error{
			Op: "open", Path: l.path, Err: fmt.Errorf("%w, and one file takes no more rows, whatever if_exists says", ErrExists),
			Hint: "give the sink another path, or a directory, to which rows can be added",
		}
	}
	if err != nil {
		return nil, err
	}
	return &fileWriter{out: out, format: fm, layout: l, env: env, parts: newPartSet(out, fm, &l, env.Memory)}, nil
}

var errEnded = errors.New("sink: the writer has been finished or aborted")

func (w *fileWriter) Write(ctx context.Context, b *stages.Rows) error {
	if w.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	defer w.interruptible(ctx)()
	f, err := w.conform(b.Value)
	if err != nil {
		return &Error{Op: "write", Path: w.out.shown, Err: err}
	}
	e, err := w.parts.epoch(b.Epoch)
	if err != nil {
		return &Error{Op: "write", Path: w.out.shown, Err: err}
	}
	if f.NumRows() == 0 {
		return nil
	}
	if w.split == nil {
		return w.parts.add(e, piece{frame: f})
	}
	pieces, err := w.split.split(f)
	if err != nil {
		return &Error{Op: "write", Path: w.out.shown, Err: err}
	}
	for _, p := range pieces {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := w.parts.add(e, p); err != nil {
			return err
		}
	}
	return nil
}

// interruptible lets the end of ctx end a write that waits for the place.
func (w *fileWriter) interruptible(ctx context.Context) (done func() bool) {
	return context.AfterFunc(ctx, w.out.place.interrupt)
}

// conform makes the first batch's schema that of the whole output.
func (w *fileWriter) conform(f frame.Frame) (frame.Frame, error) {
	s := f.Schema()
	if w.schema == nil {
		if err := fits(s); err != nil {
			return nil, err
		}
		if err := w.checkAppend(s); err != nil {
			return nil, err
		}
		if len(w.layout.PartitionBy) > 0 {
			p, err := newPartitioner(w.layout.PartitionBy, s)
			if err != nil {
				return nil, err
			}
			w.split = p
		}
		w.schema = s
		return f, nil
	}
	if sameColumns(s, w.schema) {
		return f, nil
	}
	return frame.Conform(f, w.schema)
}

// fits refuses columns that no file can hold, before rows are gathered.
func fits(s *frame.Schema) error {
	if s.NumFields() == 0 {
		return errors.New("the rows have no columns")
	}
	seen := map[string]bool{}
	for _, f := range s.Fields() {
		if frame.KindOf(f) == frame.KindOther {
			return fmt.Errorf("column %q has type %s, which no file here can hold: convert or drop it in a stage before", f.Name, frame.TypeName(f))
		}
		if seen[f.Name] {
			return fmt.Errorf("two columns are called %q, which readers refuse: rename one", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// sameColumns compares names and types; metadata, such as the levels of a
// factor, may differ.
func sameColumns(a, b *frame.Schema) bool {
	return a == b || slices.EqualFunc(a.Fields(), b.Fields(), func(x, y arrow.Field) bool {
		return x.Name == y.Name && arrow.TypeEqual(x.Type, y.Type)
	})
}

// checkAppend refuses to put files of another schema beside those that are there.
func (w *fileWriter) checkAppend(s *frame.Schema) error {
	old := w.out.old
	if old == nil || len(old.Files) == 0 || (w.out.kind != existsAppend && w.out.kind != existsReplacePartitions) {
		return nil
	}
	if !slices.ContainsFunc(old.Files, func(f manifestFile) bool { return !w.out.ofTime(f) }) {
		return nil // all of them go
	}
	now := columnsOf(s)
	for i, c := range now {
		at := slices.IndexFunc(old.Schema, func(o manifestColumn) bool { return o.Name == c.Name })
		switch {
		case at < 0:
			return fmt.Errorf("column %q is new: the %d files that are there do not have it; use if_exists: replace or another path", c.Name, len(old.Files))
		case old.Schema[at].Type != c.Type:
			return fmt.Errorf("column %q is %s, and %s in the files that are there; use if_exists: replace or another path", c.Name, c.Type, old.Schema[at].Type)
		case at != i:
			return fmt.Errorf("column %q has another place than in the files that are there; use if_exists: replace or another path", c.Name)
		}
	}
	if len(now) < len(old.Schema) {
		return fmt.Errorf("column %q of the files that are there is missing; use if_exists: replace or another path", old.Schema[len(now)].Name)
	}
	return nil
}

// Prepare closes the parts of an epoch. A run without rows whose columns are
// known gets one empty file in its final epoch, so that its readers find the
// columns; an output in partitions cannot say where it would belong and gets none.
func (w *fileWriter) Prepare(ctx context.Context, epoch uint64) ([]Part, error) {
	if w.ended {
		return nil, errEnded
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	defer w.interruptible(ctx)()
	var empty *frame.Schema
	if epoch == stages.FinalEpoch && w.split == nil {
		empty = w.schema
	}
	parts, err := w.parts.prepare(ctx, epoch, empty)
	if err != nil {
		return nil, err
	}
	w.prepared = append(w.prepared, parts...)
	return parts, nil
}

func (w *fileWriter) Publish(ctx context.Context, parts []Part) error {
	if w.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	known := map[string]bool{}
	for _, p := range w.published {
		known[p.Path] = true
	}
	parts = slices.DeleteFunc(slices.Clone(parts), func(p Part) bool { return known[p.Path] })
	if err := w.out.publish(ctx, parts); err != nil {
		return err
	}
	w.published = append(w.published, parts...)
	return nil
}

func (w *fileWriter) Finish(ctx context.Context, complete bool) error {
	if err := w.commit(ctx, complete); err != nil {
		return err
	}
	return w.end()
}

// commit writes the manifest, and deletes what the run replaces.
func (w *fileWriter) commit(ctx context.Context, complete bool) error {
	if w.ended {
		return errEnded
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if !complete && w.out.complete {
		return &Error{Op: "replace", Path: w.out.shown, Err: errors.New("the run did not read all of its input, and what is there is complete")}
	}
	return w.out.finish(ctx, w.manifest(!complete), w.published)
}

// manifest is that of this run, without files.
func (w *fileWriter) manifest(partial bool) *manifest {
	slices.SortFunc(w.published, func(a, b Part) int { return cmp.Compare(a.Path, b.Path) })
	m := &manifest{
		Version: manifestVersion, Format: w.format.name(), Pipeline: w.env.Pipeline, Run: w.env.Run, Partial: partial,
		Created: time.Now().UTC().Truncate(time.Second), PartitionBy: w.layout.PartitionBy, Schema: columnsOf(w.schema), times: w.out.times,
	}
	if w.schema == nil && w.out.old != nil {
		m.Schema = w.out.old.Schema
	}
	if w.out.old != nil {
		m.Retired = w.out.old.Retired
	}
	return m
}

func (w *fileWriter) Abort() error {
	if w.ended {
		return nil
	}
	return w.end()
}

// ReplacesComplete implements Replacer.
func (w *fileWriter) ReplacesComplete() bool { return w.out.complete }

// OneEpoch implements Single.
func (w *fileWriter) OneEpoch() bool { return w.out.file != "" }

// end closes and removes whatever is not committed.
func (w *fileWriter) end() error {
	w.ended = true
	ctx, cancel := lastly()
	defer cancel()
	w.parts.discard(ctx)
	if err := w.out.place.holds(ctx); err != nil {
		return w.out.giveUp(ctx, err)
	}
	err := w.out.undo(ctx)
	_, e := w.out.sweepOwn(ctx, nil)
	return errors.Join(err, failed("clear", w.out.shown, e), w.out.place.leave(ctx, nil))
}

// lastly bounds what a writer does at its end, which no caller can interrupt.
func lastly() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// sortedKeys makes the order of files the same for the same rows.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
