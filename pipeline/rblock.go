package pipeline

import (
	"log/slog"
	"path/filepath"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rblock"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// R is the r block: what the workers have loaded, how many there are, and what
// they may use.
type R struct {
	rblock.Block `yaml:",inline"`

	Workers      Workers          `yaml:"workers" doc:"How many R processes work at once."`
	Recycle      Recycle          `yaml:"recycle" doc:"When a worker is replaced by a new one."`
	Limits       Limits           `yaml:"limits" doc:"What a worker may use."`
	StartTimeout configs.Duration `yaml:"start_timeout" default:"60s" doc:"How long loading may take."`
	Grace        configs.Duration `yaml:"grace" default:"5s" doc:"How long R code may take to stop after an interrupt, and again after SIGTERM, before it is killed."`
}

// Workers is how many R processes there are.
type Workers struct {
	Min         int              `yaml:"min" default:"0" min:"0" doc:"Workers that are kept up, also without work."`
	Max         int              `yaml:"max" default:"0" min:"0" doc:"Workers at most. 0 is one for each core."`
	IdleTimeout configs.Duration `yaml:"idle_timeout" default:"5m" doc:"A worker without work ends after it."`
}

// Check implements configs.Checker.
func (w *Workers) Check(report func(field, message, hint string)) {
	if w.Max > 0 && w.Min > w.Max {
		report("min", "is larger than max", "lower it, or raise max")
	}
}

// Recycle is when a worker is replaced.
type Recycle struct {
	MaxRequests int              `yaml:"max_requests" default:"0" min:"0" doc:"After so many batches. 0 is never."`
	MaxLifetime configs.Duration `yaml:"max_lifetime" default:"0s" doc:"After so long. 0 is never."`
}

// Limits is what a worker may use.
type Limits struct {
	Memory        configs.Size `yaml:"memory" default:"0" doc:"Resident memory. A worker beyond it is killed, and its batch fails with the cause out of memory. 0 is no limit."`
	rblock.Limits `yaml:",inline"`
}

// NeedsR reports whether any stage uses the R pool.
func (f *File) NeedsR() bool { return f.mapped() != "" }

// mapped is the R function of the first stage that calls one; "" for none.
func (f *File) mapped() string {
	for _, s := range f.all() {
		if r, ok := s.Use.(stages.UsesR); ok {
			fun, _ := r.UsesR()
			return fun
		}
	}
	return ""
}

// Environment is what a worker has loaded.
func (f *File) Environment() *rpool.Environment {
	return f.R.Environment(f.Dir(), f.R.Limits.Limits)
}

// poolOptions are the limits of the pool.
func (f *File) poolOptions(log *slog.Logger, printed *stages.Relay) rpool.Options {
	r := &f.R
	return rpool.Options{
		Min: r.Workers.Min, Max: r.Workers.Max, IdleTimeout: time.Duration(r.Workers.IdleTimeout),
		MaxRequests: r.Recycle.MaxRequests, MaxLifetime: time.Duration(r.Recycle.MaxLifetime),
		MaxMemory:   int64(r.Limits.Memory),
		QueueLength: max(1024, 2*f.inFlight()),
		Grace:       time.Duration(r.Grace), StartTimeout: time.Duration(r.StartTimeout),
		Log:    log,
		Output: printed.Line,
	}
}

// resolve makes a path of the file absolute or relative to the working directory.
func (f *File) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.Dir(), path)
}
