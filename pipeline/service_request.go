package pipeline

import (
	"context"
	"fmt"
	"sync"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// Answer is what the stages made of the rows of one request.
type Answer struct {
	// Frames are the rows that came out, in the order of the request's. They have
	// one schema.
	Frames []frame.Frame
	// From is, for each frame, the row of the request that each of its rows was
	// made of, from 0; stages.NoRow where it was made of several.
	From [][]int
	// Rejected are the rows that failed in a stage with on_error: dead_letter or
	// skip, as they failed.
	Rejected []RowError
}

// RowError is why a row of a request has no answer.
type RowError struct {
	Row     int    // in the request, from 0; stages.NoRow where it was made of several
	Stage   string // its label
	Err     error
	Skipped bool // on_error: skip
	Whole   bool // it failed together with others; which of them is at fault is not known
}

// Rows is how many rows came out.
func (a *Answer) Rows() (n int64) {
	for _, f := range a.Frames {
		n += f.NumRows()
	}
	return n
}

// request is one request on its way.
type request struct {
	mu     sync.Mutex
	answer Answer
}

type requestKey struct{}

// Do runs the rows of one request through the stages. It may be called by many at
// once. Errors are an *InputError where the request is at fault; a
// *stages.StageError where a stage failed for good, R's own in its chain;
// rpool.ErrClosed while the service drains; the cause of ctx, whose end cancels
// what R does; and what wraps context.DeadlineExceeded after ServiceOptions.Timeout.
func (s *Service) Do(ctx context.Context, rows frame.Frame) (*Answer, error) {
	rows, err := s.take(rows)
	if err != nil {
		return nil, err
	}
	if !s.enter() {
		return nil, fmt.Errorf("pipeline %s: it is shutting down: %w", s.file.Name, rpool.ErrClosed)
	}
	defer s.leave()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
	if d := s.o.Timeout; d > 0 {
		late := fmt.Errorf("pipeline %s: not done within %v: %w", s.file.Name, d, context.DeadlineExceeded)
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, d, late)
		defer stop()
	}
	r := &request{}
	if err := s.run(context.WithValue(ctx, requestKey{}, r), s.stages, []frame.Frame{rows}, r.keep); err != nil {
		return nil, err
	}
	if len(r.answer.Frames) == 0 && s.columns != nil {
		r.answer.Frames, r.answer.From = []frame.Frame{frame.Empty(s.columns)}, [][]int{{}}
	}
	return &r.answer, nil
}

// run lets one stream of frames flow through stages.
func (s *Service) run(ctx context.Context, through []stages.Stage[frame.Frame, frame.Frame], in []frame.Frame, keep func(*stages.Rows)) error {
	run := stages.NewRun(ctx)
	edge := stages.From(run, "request", depth, func(_, hard context.Context, out chan<- *stages.Rows) error {
		return sendAll(hard, out, in)
	})
	for i, stage := range through {
		edge = stages.Then(run, s.labels[i], depth, edge, stage)
	}
	stages.To(run, "answer", edge, func(ctx context.Context, in <-chan *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			keep(b)
		}
	})
	return run.Wait()
}

// warm makes the stages load and prepare what they need once. Nothing is asked of
// R or of a server.
func (s *Service) warm(ctx context.Context) error {
	drop := func(*stages.Rows) {}
	if err := s.run(ctx, s.stages, nil, drop); err != nil || s.input == nil {
		return err
	}
	before := 0 // the stages before the first that calls R
	for before < len(s.stages) {
		if _, r := s.file.Stages[before].Use.(stages.UsesR); r {
			break
		}
		before++
	}
	return s.run(ctx, s.stages[:before], []frame.Frame{frame.Empty(s.input)}, drop)
}

// keep takes a batch of the answer.
func (r *request) keep(b *stages.Rows) {
	f, from := stages.WithoutNumbers(b.Value)
	if b.Rows == 0 && len(r.answer.Frames) > 0 {
		return
	}
	r.answer.Frames, r.answer.From = append(r.answer.Frames, f), append(r.answer.From, from)
}

// rejectInRequest is stages.Env.Reject: it puts rows that failed into the answer
// of the request that ctx belongs to.
func rejectInRequest(ctx context.Context, rejected *stages.Rejected) error {
	r := ctx.Value(requestKey{}).(*request)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, from := stages.WithoutNumbers(rejected.Frame)
	for _, row := range from {
		r.answer.Rejected = append(r.answer.Rejected, RowError{
			Row: row, Stage: rejected.Stage, Err: rejected.Err, Skipped: rejected.Drop, Whole: rejected.Whole,
		})
	}
	return nil
}

// enter counts a request in; false where the service drains.
func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.under++
	return true
}

func (s *Service) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.under--; s.under == 0 && s.draining {
		close(s.idle)
	}
}
