package stages

import (
	"context"
	"errors"
	"io"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/frame"
)

// Blocking is implemented by configured stages that need all of their input
// before they can end: their input must have an end.
type Blocking interface {
	// Blocks reports whether the stage, as it is configured, does.
	Blocks() bool
}

// FinalEpoch is the epoch of what blocking stages emit, which commits with the
// end of the run. Where a run has several epochs, those of the source begin at 1.
const FinalEpoch = 0

// errPartial ends a blocking stage whose input was cut off by a drain.
var errPartial = errors.New("the input ended early")

// Whole makes a stage of a function that needs its whole input, one frame after
// another from next until io.EOF, and emits frames. f may emit while it reads,
// but what it emits counts as of the final epoch: it is committed with the run.
//
// Where the run keeps a spool, the input is written to it and settled, and after
// a crash f reads first what the spool has. A run that was drained before the
// source ended has no whole input: f ends with an error of next, and nothing
// that it emitted is sent on; so f should emit at the end, not on the way, what
// depends on all rows. The first frame of an input whose columns are known has
// the schema, though it may have no rows; an input of unknown columns and no
// rows has no frame at all.
func Whole(env *Env, f func(ctx context.Context, next func(context.Context) (frame.Frame, error), emit func(frame.Frame) error) error) Stage[frame.Frame, frame.Frame] {
	return func(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
		w := &blocking{env: env, in: in}
		if env.Spool != nil {
			w.spool = env.Spool(env.Stage)
		}
		return w.run(ctx, out, f)
	}
}

type blocking struct {
	env   *Env
	in    <-chan *Rows
	spool Spool
}

func (w *blocking) run(ctx context.Context, out chan<- *Rows, f func(context.Context, func(context.Context) (frame.Frame, error), func(frame.Frame) error) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	frames := make(chan frame.Frame)
	var fed error // of the feeder; read after wg.Wait or when frames is closed
	var wg conc.WaitGroup
	wg.Go(func() {
		defer close(frames)
		fed = guard(func() error { return w.feed(ctx, frames) })
	})
	next := func(nextCtx context.Context) (frame.Frame, error) {
		select {
		case f, ok := <-frames:
			switch {
			case ok:
				return f, nil
			case fed != nil:
				return nil, fed
			}
			return nil, io.EOF
		case <-nextCtx.Done():
			return nil, context.Cause(nextCtx)
		}
	}
	var seq uint64
	emit := func(f frame.Frame) error {
		b := &Rows{Value: f, Rows: int(f.NumRows()), Bytes: frame.Bytes(f), Seq: seq, Epoch: FinalEpoch}
		seq++
		return Send(ctx, out, b)
	}
	err := f(ctx, next, emit)
	cancel(err)
	for range frames { // the feeder may wait for a reader
	}
	wg.Wait()
	switch {
	case errors.Is(err, errPartial) || errors.Is(fed, errPartial):
		return nil
	case err != nil:
		return err
	}
	return nil
}

// feed hands over what the spool has, then the input, which it spools.
func (w *blocking) feed(ctx context.Context, frames chan<- frame.Frame) error {
	give := func(f frame.Frame) error {
		select {
		case frames <- f:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if w.spool != nil {
		if err := w.spool.Replay(ctx, give); err != nil {
			return err
		}
	}
	for {
		b, ok, err := Receive(ctx, w.in)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if w.spool != nil && b.Rows > 0 {
			if err := w.spool.Write(ctx, b); err != nil {
				return err
			}
		}
		if err := give(b.Value); err != nil {
			return err
		}
		b.Settle(nil)
	}
	if w.env.Ended != nil && !w.env.Ended() {
		return errPartial
	}
	return nil
}
