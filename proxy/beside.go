package proxy

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/proxy/admin"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/stages"
)

// Beside is a pipeline that runs once, from the proxy's start, on workers that its
// APIs leave idle.
type Beside struct {
	File   string            `yaml:"file" required:"true" doc:"The pipeline file. What its r block says of workers, recycling, memory and grace does not hold: the pool says it. The rest does." example:"nightly.yaml"`
	Pool   string            `yaml:"pool" default:"default" doc:"The pool whose workers it uses. Requests go before it; reserve there keeps workers free of it."`
	Values map[string]string `yaml:"values" doc:"Values of its variables, name to value, as -v has them."`
	Resume bool              `yaml:"resume" default:"true" doc:"Goes on with the run that a stop or a crash left unfinished, if there is one."`
}

// besides are the pipelines of a server. The zero value has none.
type besides struct {
	all   []*running
	tasks conc.WaitGroup
}

// running is one of them.
type running struct {
	config Beside
	name   string
	since  time.Time
	ctx    context.Context
	stop   context.CancelCauseFunc // ends it at once

	mu     sync.Mutex
	run    *pipeline.Run // nil before it has started
	report *pipeline.Report
	err    error
	done   bool
}

// openPipelines loads the pipelines and starts them.
func (s *Server) openPipelines() error {
	for i, b := range s.file.Pipelines {
		path := below(s.file.Dir(), b.File)
		f, problems, err := loadPipeline(s.ctx, path, b)
		if errs := problems.Errors(); len(errs) > 0 {
			return &ConfigError{Err: fmt.Errorf("pipelines[%d]: %w", i, errs)}
		}
		if err != nil {
			return fmt.Errorf("pipelines[%d]: %w", i, err)
		}
		for _, p := range f.Unshared() {
			s.log.Warn(p.String(), "pipeline", f.Name)
		}
		r := &running{config: b, name: f.Name, since: time.Now()}
		r.ctx, r.stop = context.WithCancelCause(s.ctx)
		s.beside.all = append(s.beside.all, r)
		s.beside.tasks.Go(func() { s.runBeside(r, f) })
	}
	return nil
}

func loadPipeline(ctx context.Context, path string, b Beside) (*pipeline.File, configs.Problems, error) {
	if b.Resume {
		return pipeline.LoadToResume(ctx, path, b.Values)
	}
	f, ps := pipeline.Load(path, b.Values)
	return f, ps, nil
}

// runBeside runs one pipeline to its end.
func (s *Server) runBeside(r *running, f *pipeline.File) {
	log := s.log.With("pipeline", r.name)
	run, err := pipeline.Start(r.ctx, f, pipeline.Options{Log: log, Pool: s.mount.Pool(r.config.Pool), Resume: r.config.Resume})
	var report *pipeline.Report
	if err == nil {
		r.mu.Lock()
		r.run = run
		r.mu.Unlock()
		unregister := s.metrics.Run(r.name, func() []stages.Reading { return run.Snapshot().Stages })
		report, err = run.Wait()
		unregister()
	}
	stopped := r.ctx.Err() != nil
	r.stop(nil)
	r.mu.Lock()
	r.report, r.err, r.done = report, err, true
	r.mu.Unlock()
	switch {
	case err != nil && !stopped:
		log.Error("the pipeline failed; the APIs go on", "error", err)
	case err != nil:
		log.Info("the pipeline was stopped before its end", "because", err)
	case report.Drained:
		log.Info("the pipeline was stopped; with resume: true it goes on at the next start", "rows_read", report.Read.Rows)
	default:
		log.Info("the pipeline is done", "rows_read", report.Read.Rows, "dead_letters", report.DeadLetters)
	}
}

// drain stops the pipelines after what they have read and waits for them; what is
// left when ctx ends is cancelled.
func (b *besides) drain(ctx context.Context) {
	for _, r := range b.all {
		r.mu.Lock()
		if r.run == nil { // it has not begun to read
			r.stop(fault.ErrDraining)
		} else if !r.done {
			r.run.Drain()
		}
		r.mu.Unlock()
	}
	stop := context.AfterFunc(ctx, func() {
		for _, r := range b.all {
			r.stop(fault.ErrDraining)
		}
	})
	defer stop()
	b.tasks.Wait()
}

// state is one pipeline for the status page.
func (r *running) state() admin.Pipeline {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := admin.Pipeline{Name: r.name, File: r.config.File, Pool: r.config.Pool, Since: r.since, Err: r.err}
	switch {
	case !r.done && r.run == nil:
		p.State = "starting"
	case !r.done:
		p.State, p.Rows = "running", r.run.Snapshot().Read.Rows
	case r.err != nil:
		p.State = "failed"
	case r.report.Drained:
		p.State, p.Rows = "stopped", r.report.Read.Rows
	default:
		p.State, p.Rows = "done", r.report.Read.Rows
	}
	return p
}
