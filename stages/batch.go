package stages

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
)

// Batch is the unit that crosses a channel. It and its value must not be
// modified once sent.
type Batch[T any] struct {
	Value   T
	Rows    int
	Bytes   int64
	Seq     uint64    // number of the batch at the stage that cut it, from 0
	First   int64     // number of its first row in the stream that it came by, from 0: Send sets it
	Epoch   uint64    // no batch mixes two epochs
	Origins []*Origin // the source reads that its rows came from; nil where nobody keeps accounts
}

// Rows is a batch of frames: what crosses the channels of a pipeline.
type Rows = Batch[frame.Frame]

// Stage transforms batches of I to batches of O. It is the only writer of out,
// which the runtime closes when the stage returns. Every send, and every
// receive that someone waits for, selects on ctx; Send and Receive do, and keep
// the stage's metrics as well.
type Stage[I, O any] func(ctx context.Context, in <-chan *Batch[I], out chan<- *Batch[O]) error

// Carry is a batch with the accounts and the place of b and another value. The
// shares of b's origins pass to it: b must not be settled as well.
func Carry[I, O any](b *Batch[I], v O, rows int, bytes int64) *Batch[O] {
	return &Batch[O]{
		Value: v, Rows: rows, Bytes: bytes,
		Seq: b.Seq, First: b.First, Epoch: b.Epoch, Origins: b.Origins,
	}
}

// CarryPart is Carry for one of several batches that b becomes: it takes shares of its
// own, and b is still to be carried or settled.
func CarryPart[I, O any](b *Batch[I], v O, rows int, bytes int64) *Batch[O] {
	p := Carry(b, v, rows, bytes)
	p.Origins = share(b.Origins)
	return p
}

// WithFrame is a batch of another frame with the accounts and the place of b.
func WithFrame(b *Rows, f frame.Frame) *Rows {
	return Carry(b, f, int(f.NumRows()), frame.Bytes(f))
}

// Settle gives up the batch's shares of its origins: nil means that its rows
// are written, or were dropped on purpose; an error that they are lost.
func (b *Batch[T]) Settle(err error) {
	for _, o := range b.Origins {
		o.settle(err)
	}
	b.Origins = nil
}

// share returns the origins with one more share each.
func share(origins []*Origin) []*Origin {
	if len(origins) == 0 {
		return nil
	}
	shared := make([]*Origin, len(origins))
	for i, o := range origins {
		shared[i] = o.share()
	}
	return shared
}
