// Package stages is the flow runtime: typed stages joined by bounded channels,
// and the stages themselves. PENDING DOC
package stages

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
)

// Batch is the unit that crosses a channel. It and its value must not be
// modified once sent.
type Batch[T any] struct {
	Value   T
	Seq     uint64 // number of the batch at the stage that made it, from 0
	Rows    int
	Bytes   int64
	First   int64  // number of its first row in the stream of the stage that made it, from 0
	Epoch   uint64 // no batch mixes two epochs
	Origins []*Origin
}

// Rows is a batch of frames: what crosses the channels of a pipeline.
type Rows = Batch[frame.Frame]

// Stage transforms batches of I to batches of O. It is the only writer of out,
// which the runtime closes when the stage returns. Every send, and every
// receive that someone waits for, selects on ctx.
type Stage[I, O any] func(ctx context.Context, in <-chan *Batch[I], out chan<- *Batch[O]) error
