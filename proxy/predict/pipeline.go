package predict

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// pipelineConcurrency is how many requests are in the stages of a pipeline at once,
// where the endpoint does not say: stages wait for other servers too.
const pipelineConcurrency = 64

// stagesOf is the scorer of a pipeline: each request flows through the stages by
// itself.
type stagesOf struct {
	service  *pipeline.Service
	turns    chan struct{} // of capacity concurrency: one for each request inside
	queue    queue
	waiting  atomic.Int64
	halvings int
	messages bool
}

// newStages brings a pipeline up. Its source says the columns of rows where the
// endpoint does not: r gets them as its schema.
func newStages(ctx context.Context, o *Options, r *reader) (*stagesOf, error) {
	e := &o.Endpoint
	path := e.Pipeline
	if !filepath.IsAbs(path) {
		path = filepath.Join(o.Dir, path)
	}
	file, problems := pipeline.Load(path, o.Vars)
	if found := problems.Errors(); len(found) > 0 {
		return nil, found
	}
	so := pipeline.ServiceOptions{Pool: o.Pool, Log: o.Log, Timeout: o.Timeout}
	if e.Timeout > 0 {
		so.Timeout = time.Duration(e.Timeout)
	}
	if r.schema != nil {
		so.Input = r.schema.Schema
	}
	service, err := pipeline.NewService(ctx, file, so)
	if err != nil {
		return nil, err
	}
	if r.schema == nil && service.Input() != nil {
		r.schema = open(service.Input())
	}
	s := &stagesOf{
		service: service, halvings: e.MaxHalvings, messages: e.Messages,
		queue: queue{length: int64(e.Queue.Length), wait: time.Duration(e.Queue.Wait)},
	}
	concurrency := e.Concurrency
	if concurrency == 0 {
		concurrency = pipelineConcurrency
	}
	s.turns = make(chan struct{}, concurrency)
	return s, nil
}

// open is the schema of a source: what a row does not have is missing, as in a
// file, and what the source does not have is refused.
func open(s *frame.Schema) *schema {
	out := &schema{extra: true, rules: make([]rule, s.NumFields())}
	columns := make([]arrow.Field, s.NumFields())
	for i, f := range s.Fields() {
		f.Nullable = true
		columns[i] = f
		out.rules[i].nullable = true
	}
	out.Schema = arrow.NewSchema(columns, nil)
	return out
}

func (s *stagesOf) columns() *frame.Schema          { return s.service.Columns() }
func (s *stagesOf) drain(ctx context.Context) error { return s.service.Drain(ctx) }

func (s *stagesOf) score(ctx context.Context, x *exchange.Exchange, rows frame.Frame) (*results, error) {
	arrived := time.Now()
	if err := s.turn(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.turns }()
	x.Queue, x.Attempts = time.Since(arrived), 1
	t := &tries{stagesOf: s, left: s.halvings}
	if err := t.do(ctx, rows, 0); err != nil {
		return nil, err
	}
	sortErrors(t.errors)
	out := &results{place: t.place, errors: t.errors}
	if len(t.frames) == 0 {
		return out, nil
	}
	var err error
	out.frame, err = agreed(t.frames)
	return out, err
}

// turn waits for a place among the requests inside.
func (s *stagesOf) turn(ctx context.Context) error {
	select {
	case s.turns <- struct{}{}:
		return nil
	default:
	}
	if s.waiting.Add(1) > s.queue.length {
		s.waiting.Add(-1)
		return rpool.ErrQueueFull
	}
	defer s.waiting.Add(-1)
	var late <-chan time.Time
	if s.queue.wait > 0 {
		timer := time.NewTimer(s.queue.wait)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case s.turns <- struct{}{}:
		return nil
	case <-late:
		return rpool.ErrQueueWait
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tries are what became of the rows of one request.
type tries struct {
	*stagesOf
	left   int // halvings
	frames []frame.Frame
	place  []int32
	errors []*RowError
}

// do asks the pipeline for rows, of which the first is row first of the request. A
// stage that fails (on_error: stop) fails for all of them; so they are halved until
// those at fault are alone.
func (t *tries) do(ctx context.Context, rows frame.Frame, first int) error {
	answer, err := t.service.Do(ctx, rows)
	n := int(rows.NumRows())
	var input *pipeline.InputError
	var died *rpool.DiedError
	switch {
	case err == nil:
		t.keep(answer, first)
		return nil
	case errors.As(err, &input):
		status, reason := http.StatusUnprocessableEntity, "invalid"
		if input.TooMany {
			status, reason = http.StatusRequestEntityTooLarge, "too_many_rows"
		}
		return fault.New(status, reason, input.Error())
	case !mayFareBetter(err):
		return err
	case n > 1 && t.left > 0 && !errors.As(err, &died):
		t.left--
		if err := t.do(ctx, frame.Slice(rows, 0, n/2), first); err != nil {
			return err
		}
		return t.do(ctx, frame.Slice(rows, n/2, n), first+n/2)
	}
	for i := range n {
		e := explain(first+i, err, t.messages)
		e.Whole = n > 1
		t.errors = append(t.errors, e)
	}
	return nil
}

// keep takes an answer for the rows from first on.
func (t *tries) keep(a *pipeline.Answer, first int) {
	for i, f := range a.Frames {
		t.frames = append(t.frames, f)
		for _, from := range a.From[i] {
			if from >= 0 {
				from += first
			}
			t.place = append(t.place, int32(from))
		}
	}
	for _, r := range a.Rejected {
		if r.Row >= 0 {
			r.Row += first
		}
		e := explain(r.Row, fmt.Errorf("%s: %w", r.Stage, r.Err), t.messages)
		e.Whole = r.Whole
		if e.Reason == "internal" { // an error of the row's: a value that a stage refused
			e.Reason, e.Status, e.Err = "rejected", http.StatusUnprocessableEntity, nil
			if t.messages {
				e.Message = r.Stage + ": " + r.Err.Error()
			}
		}
		t.errors = append(t.errors, e)
	}
}
