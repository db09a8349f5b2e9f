package stages

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// How much is held back while a column has had nothing but NA, which says
// nothing of its type.
const (
	agreeBatches = 32
	agreeBytes   = 64 << 20
)

// agree gives all batches of a stream one schema: the declared one, or that of
// the first batch. A column that is all NA there takes the type that it has in
// a later batch, of those held back; after that a batch conforms without loss
// (NA and integers fit anywhere they can) or is an error that names both batches.
// The batches of a request, which are few, are all held back.
func agree(env *Env, declared *frame.Schema) Stage[frame.Frame, frame.Frame] {
	var others *known
	if env.Interactive {
		others = &known{}
	}
	return func(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
		a := &agreement{schema: declared, declared: declared != nil, others: others, env: env}
		if err := a.recall(); err != nil {
			return err
		}
		for {
			var idle <-chan time.Time
			if len(a.held) > 0 {
				idle = time.After(stuckCheck)
			}
			b, ok, err := receiveUntil(ctx, in, idle)
			switch {
			case errors.Is(err, errIdle):
				if a.isStuck() { // the source waits for the memory of what is held here
					err = a.release(ctx, out)
				} else {
					err = nil
				}
			case err == nil && !ok:
				return a.release(ctx, out)
			case err == nil:
				if err = a.add(ctx, b, out); err != nil {
					err = &BatchError{Batch: batchOf(b), Err: err}
				}
			}
			if err != nil {
				return err
			}
		}
	}
}

// batchOf names a batch by its number alone: its rows are no longer those that
// went into the function.
func batchOf(b *Rows) string { return fmt.Sprintf("batch %d", b.Seq+1) }

type agreement struct {
	schema   *frame.Schema
	declared bool
	first    string // the batch that decided the schema
	frozen   bool   // batches have been sent with it

	others *known // nil but for requests
	held   []*Rows
	bytes  int64
	env    *Env
}

// recall takes the schema that was agreed on before a crash.
func (a *agreement) recall() error {
	var old []byte
	ok, err := a.env.Recall(&old)
	if a.declared || !ok || err != nil {
		return err
	}
	a.schema, err = frame.SchemaFrom(old)
	a.frozen, a.first = true, "the part of the run before the restart"
	return err
}

// keep puts the schema on record, for what follows a crash.
func (a *agreement) keep(epoch uint64) error {
	b, err := frame.SchemaBytes(a.schema)
	if err != nil {
		return err
	}
	return a.env.Keep(settled(epoch), b)
}

func (a *agreement) add(ctx context.Context, b *Rows, out chan<- *Rows) error {
	if a.declared || a.frozen {
		f, err := a.conform(b)
		if err != nil {
			return err
		}
		return Send(ctx, out, WithFrame(b, f))
	}
	if err := a.widen(b); err != nil {
		return err
	}
	hold(b.Origins)
	a.held = append(a.held, b)
	a.bytes += b.Bytes
	if a.others != nil || a.undecided() && len(a.held) < agreeBatches && a.bytes < agreeBytes {
		return nil
	}
	return a.release(ctx, out)
}

// release sends what is held back; the schema stays from then on.
func (a *agreement) release(ctx context.Context, out chan<- *Rows) error {
	a.frozen = a.schema != nil
	if a.frozen && !a.declared && a.others != nil {
		a.schema = a.others.types(a.schema, a.allHeldNA)
	}
	if a.frozen && len(a.held) > 0 {
		if err := a.keep(a.held[0].Epoch); err != nil {
			return err
		}
	}
	for _, b := range a.held {
		release(b.Origins)
	}
	for _, b := range a.held {
		f, err := a.conform(b)
		if err != nil {
			return &BatchError{Batch: batchOf(b), Err: err}
		}
		if err := Send(ctx, out, WithFrame(b, f)); err != nil {
			return err
		}
	}
	a.held = nil
	return nil
}

// isStuck reports whether what is held here keeps the source from reading, or an
// epoch from its commit.
func (a *agreement) isStuck() bool {
	for _, b := range a.held {
		if len(b.Origins) > 0 {
			l := b.Origins[0].ledger
			return l.stuck() || l.lingers(b.Epoch)
		}
	}
	return false
}

// widen takes b's columns into the schema.
func (a *agreement) widen(b *Rows) error {
	value := plain(b.Value)
	schema := value.Schema()
	if a.schema == nil {
		a.schema, a.first = schema, batchOf(b)
		return nil
	}
	// A column of NA alone has no say.
	fields := schema.Fields()
	for i, f := range fields {
		at := a.schema.FieldIndices(f.Name)
		if len(at) == 0 {
			continue
		}
		switch known := a.schema.Field(at[0]); {
		case allNA(value, i):
			fields[i] = known
		case a.allHeldNA(f.Name):
			a.schema = replaceField(a.schema, at[0], f)
		}
	}
	merged, err := frame.Unify(a.schema, arrow.NewSchema(fields, nil))
	if err != nil {
		return a.conflict(err)
	}
	a.schema = merged
	return nil
}

func (a *agreement) conform(b *Rows) (frame.Frame, error) {
	f, err := frame.Conform(plain(b.Value), a.schema)
	if err != nil {
		return nil, a.conflict(err)
	}
	return withNumbers(f, numbersOf(b.Value)), nil
}

// conflict says with which batch a type disagrees.
func (a *agreement) conflict(err error) error {
	var c *frame.ConflictError
	if err == nil || !errors.As(err, &c) {
		return err
	}
	if a.declared {
		return fmt.Errorf("%w, which returns: declares", err)
	}
	return fmt.Errorf("%w, as it was in %s; declare the type under returns, or convert in R", err, a.first)
}

// undecided reports whether a column has had nothing but NA so far.
func (a *agreement) undecided() bool {
	for _, f := range a.schema.Fields() {
		if a.allHeldNA(f.Name) {
			return true
		}
	}
	return false
}

func (a *agreement) allHeldNA(name string) bool {
	for _, b := range a.held {
		for _, i := range b.Value.Schema().FieldIndices(name) {
			if !allNA(b.Value, i) {
				return false
			}
		}
	}
	return len(a.held) > 0
}

// allNA reports whether R sent a column as logical because every value, if it has
// any, is NA.
func allNA(f frame.Frame, i int) bool {
	col := f.Column(i)
	return col.DataType().ID() == arrow.BOOL && col.NullN() == col.Len()
}

func replaceField(s *frame.Schema, i int, f arrow.Field) *frame.Schema {
	fields := append([]arrow.Field(nil), s.Fields()...)
	fields[i] = f
	return arrow.NewSchema(fields, nil)
}

// alike gives what R made of the parts of one batch one schema, as agree does,
// where there is one: a part may have nothing but NA in a column.
func alike(parts []frame.Frame) []frame.Frame {
	if len(parts) == 1 {
		return parts
	}
	a := &agreement{}
	for _, p := range parts {
		b := &Rows{Value: p}
		if err := a.widen(b); err != nil {
			return parts
		}
		a.held = append(a.held, b)
	}
	conformed := make([]frame.Frame, len(parts))
	for i, p := range parts {
		f, err := frame.Conform(p, a.schema)
		if err != nil {
			return parts
		}
		conformed[i] = f
	}
	return conformed
}
