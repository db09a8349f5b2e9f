package sources

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/sourcegraph/conc/panics"
)

// ahead runs jobs in parallel and yields what they emit in the order in which
// the jobs were started. Each job has a lane, a channel of its own that holds a
// bounded number of items; at most parallel jobs run at once. The first job not
// yet read to its end is always running, so a full lane never blocks it.
type ahead[T any] struct {
	lanes  chan chan item[T]
	lane   chan item[T] // the lane being read; nil between lanes
	err    error        // what ended reading
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// errClosed is what a reader returns after Close.
var errClosed = errors.New("the reader is closed")

type item[T any] struct {
	value T
	err   error
}

// job emits items until it returns. emit returns false when the reader was closed.
type job[T any] func(ctx context.Context, emit func(T) bool) error

// newAhead starts produce, which starts jobs one after another. start blocks
// while parallel jobs run, and returns false when the reader was closed. depth
// is how many items the job may be ahead of the reader. The end of ctx stops
// everything, as close does.
func newAhead[T any](ctx context.Context, parallel int, produce func(ctx context.Context, start func(depth int, j job[T]) bool) error) *ahead[T] {
	ctx, cancel := context.WithCancel(ctx)
	parallel = max(parallel, 1)
	a := &ahead[T]{lanes: make(chan chan item[T], parallel), cancel: cancel}
	slots := make(chan struct{}, parallel)

	lane := func(depth int) (chan item[T], bool) {
		l := make(chan item[T], max(depth, 1))
		select {
		case a.lanes <- l:
			return l, true
		case <-ctx.Done():
			return nil, false
		}
	}
	start := func(depth int, j job[T]) bool {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		l, ok := lane(depth)
		if !ok {
			<-slots
			return false
		}
		a.wg.Go(func() {
			defer close(l)
			defer func() { <-slots }()
			emit := func(v T) bool { return send(ctx, l, item[T]{value: v}) }
			if err := caught(func() error { return j(ctx, emit) }); err != nil {
				send(ctx, l, item[T]{err: err})
			}
		})
		return true
	}
	a.wg.Go(func() {
		defer close(a.lanes)
		if err := caught(func() error { return produce(ctx, start) }); err != nil {
			if l, ok := lane(1); ok {
				l <- item[T]{err: err}
				close(l)
			}
		}
	})
	return a
}

// next returns the next item, an error that a job or produce returned, or
// io.EOF. When ctx ends it returns ctx's error and may be called again.
func (a *ahead[T]) next(ctx context.Context) (T, error) {
	var zero T
	for a.err == nil {
		if err := ctx.Err(); err != nil {
			return zero, err
		}
		if a.lane == nil {
			select {
			case l, ok := <-a.lanes:
				if !ok {
					a.err = io.EOF
					continue
				}
				a.lane = l
			case <-ctx.Done():
				return zero, ctx.Err()
			}
		}
		select {
		case it, ok := <-a.lane:
			if !ok {
				a.lane = nil
				continue
			}
			if it.err != nil {
				a.err = it.err
				continue
			}
			return it.value, nil
		case <-ctx.Done():
			return zero, ctx.Err()
		}
	}
	return zero, a.err
}

// close stops the jobs and waits for them.
func (a *ahead[T]) close() {
	a.cancel()
	a.wg.Wait()
	a.err = errClosed
}

func send[T any](ctx context.Context, c chan<- T, v T) bool {
	select {
	case c <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// caught turns a panic of f into an error with its stack.
func caught(f func() error) (err error) {
	if r := panics.Try(func() { err = f() }); r != nil {
		return r.AsError()
	}
	return err
}
