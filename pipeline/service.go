package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// Service is the stages of a pipeline file for the rows of requests: what a run
// does to a dataset, it does to a few rows that somebody waits for. The stages
// are built once: datasets of joins are in memory, SQL is prepared, a fetch has
// one rate and one cache for all. Each request flows through them by itself, so
// that no batch holds rows of two, none waits for another one to fill it, and an
// error is that of its request alone.
//
// The file's source is looked at for its columns alone, and its sink not at all:
// the rows come from the request and go into the answer. What a stage sets aside
// goes into the answer too, whether by on_error: dead_letter or skip. Order is
// kept, whatever the file says. max_failed does nothing.
//
// Its methods may be called by several goroutines.
type Service struct {
	file    *File
	o       ServiceOptions
	env     *stages.Env
	input   *frame.Schema // nil where it is not known
	columns *frame.Schema // of the answers; nil where it is not known
	stages  []stages.Stage[frame.Frame, frame.Frame]
	labels  []string

	ctx    context.Context // of all requests
	cancel context.CancelCauseFunc

	mu       sync.Mutex // guards what follows
	under    int        // requests under way
	draining bool
	idle     chan struct{} // closed when draining and nothing is under way
}

// ServiceOptions say where a service runs.
type ServiceOptions struct {
	Pool *rpool.Pool        // shared with others; nil will do where no stage uses R
	Env  *rpool.Environment // what workers have loaded; nil is what the file's r block says
	Log  *slog.Logger       // nil discards

	// Input is the columns of the requests' rows. Nil is those of the file's
	// source, where they can be told without reading a stream or asking a server.
	Input   *frame.Schema
	MaxRows int           // of one request; 0 is no limit
	Timeout time.Duration // of one request, all stages together; 0 is none
}

// NewService builds the stages and brings up all they need: the datasets of joins
// and the first R worker. The error is a *ConfigError where the file is at fault,
// with line and column, or an *EnvironmentError. ctx is for the start alone. It
// ends with Drain.
func NewService(ctx context.Context, f *File, o ServiceOptions) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if found := f.CheckService().Errors(); len(found) > 0 {
		return nil, f.refused(found)
	}
	id := newRunID(time.Now().UTC())
	root := &stages.Env{
		Run: id, Pipeline: f.Name, Dir: f.Dir(), Temp: scratch(id, rand.Text()[:6]),
		Parallel: runtime.GOMAXPROCS(0), Memory: int64(f.Memory) / 4, Log: o.Log,
		S3: f.client(), Interactive: true, Pool: o.Pool, R: o.Env, Printed: stages.NewRelay(o.Log), Reject: rejectInRequest,
	}
	s := &Service{file: f, o: o, env: root.For(""), labels: f.Labels[:len(f.Stages)], idle: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	stages.ClearScratch(scratch("*", "*"))
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) error {
	f := s.file
	if err := s.plan(ctx); err != nil {
		return err
	}
	if f.NeedsR() {
		if s.o.Pool == nil {
			return errors.New("the pipeline uses R, and there is no pool")
		}
		if s.env.R == nil {
			s.env.R = f.Environment()
		}
		if err := s.o.Pool.Warm(ctx, s.env.R, 1); err != nil {
			return rError(f, err)
		}
	}
	for i, spec := range f.Stages {
		built, err := inOrder(spec.Use).Build(s.env.For(s.labels[i]))
		if err != nil {
			return at(f, fmt.Sprintf("stages[%d].%s", i, Transforms.NameOf(spec.Use)), err)
		}
		s.stages = append(s.stages, built)
	}
	return s.warm(ctx)
}

// plan finds the columns that go in and come out, and what is wrong with them.
func (s *Service) plan(ctx context.Context) error {
	p := &Plan{from: -1}
	if s.input = s.o.Input; s.input == nil {
		s.input = s.file.inputSchema(ctx, s.o.Log)
	}
	s.columns = p.planStages(ctx, s.file, "stages", s.file.Stages, s.labels, s.input)
	if found := p.problems.Errors(); len(found) > 0 {
		return s.file.refused(found)
	}
	return nil
}

// inputSchema is the columns of the source; nil where they cannot be known here.
func (f *File) inputSchema(ctx context.Context, log *slog.Logger) *frame.Schema {
	if f.endless() {
		return nil
	}
	env := f.planEnv().For("source")
	defer env.Close()
	r, err := f.Source.Use.Open(ctx, env, "")
	if err != nil {
		log.Warn("the columns of the source are not known here: requests' rows go on with the types they come with", "error", err)
		return nil
	}
	defer r.Close()
	return r.Schema()
}

// inOrder is a stage that keeps the order of a request's rows. Requests flow by
// themselves, so nobody else waits for a slow one.
func inOrder(t stages.Transform) stages.Transform {
	switch c := t.(type) {
	case *stages.Map:
		ordered := *c
		ordered.Ordered = true
		return &ordered
	case *stages.Fetch:
		ordered := *c
		ordered.Ordered = true
		return &ordered
	}
	return t
}

// refused is the first of some problems as an error.
func (f *File) refused(found configs.Problems) error {
	first := found[0]
	text := first.Message
	if first.Hint != "" {
		text += "; " + first.Hint
	}
	if n := len(found) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return &ConfigError{File: f.Path, At: configs.Position{Line: first.Line, Column: first.Column}, Path: first.Path, Err: errors.New(text)}
}

// Input is the columns that a request's rows are made to have; nil where they are
// taken as they come.
func (s *Service) Input() *frame.Schema { return s.input }

// Columns are those of the answers; nil where they are not known before the first.
func (s *Service) Columns() *frame.Schema { return s.columns }

// Drain refuses new requests, waits for those under way until ctx ends, which
// cancels them, and releases everything but the pool. It is called once.
func (s *Service) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	if s.under == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
	case <-ctx.Done():
		s.cancel(context.Cause(ctx))
		<-s.idle // soon: all that a request does ends with its context
	}
	return s.release()
}

func (s *Service) release() error {
	s.cancel(nil)
	s.env.Close()
	s.env.Printed.Close()
	err := os.RemoveAll(s.env.Temp)
	s.file.client().Close()
	return err
}
