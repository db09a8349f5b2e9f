//go:build cgo

package duckdb

import (
	"context"
	"io"

	"github.com/rpipe-dev/rpipe/frame"
)

// Input is what a query reads under one name: one frame, or a stream of frames
// of one schema. The frames must not change until Run returns.
type Input struct {
	// Next returns the next frame, or io.EOF. It is called from one goroutine at
	// a time, not always the same, only when the query needs rows, and no more
	// after an error. It must return soon after ctx ends. Frames without rows
	// are skipped.
	Next func(ctx context.Context) (frame.Frame, error)
}

// Single is an input of one frame.
func Single(f frame.Frame) Input {
	return Input{Next: func(context.Context) (frame.Frame, error) {
		if f == nil {
			return nil, io.EOF
		}
		next := f
		f = nil
		return next, nil
	}}
}

// Stream is an input of the frames that come through a channel until it is
// closed.
func Stream(frames <-chan frame.Frame) Input {
	return Input{Next: func(ctx context.Context) (frame.Frame, error) {
		select {
		case f, ok := <-frames:
			if !ok {
				return nil, io.EOF
			}
			return f, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}}
}
