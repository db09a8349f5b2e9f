package pipeline

import (
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// R is the r block: what the workers have loaded, how many there are, and what
// they may use.
type R struct {
	Source   []string `yaml:"source" scalar:"true" doc:"R files that define the functions of map stages. Sourced once, in the template that workers are forked from."  example:"[model.R]"`
	Packages []string `yaml:"packages" scalar:"true" doc:"Packages that are attached before the files are sourced." example:"[data.table]"`
	Setup    string   `yaml:"setup" doc:"R code that is run after the files."`

	Workers Workers `yaml:"workers" doc:"How many R processes work at once."`
	Recycle Recycle `yaml:"recycle" doc:"When a worker is replaced by a new one."`
	Limits  Limits  `yaml:"limits" doc:"What a worker may use."`

	Binary       string                    `yaml:"binary" doc:"The R or Rscript to use. Without it RPIPE_R, R_HOME and PATH are looked at, in that order."`
	Start        string                    `yaml:"start" default:"auto" enum:"auto|fork|spawn" doc:"fork makes workers in milliseconds by forking a loaded R, with which they share memory. spawn starts a fresh R for each: for Java and other code that does not survive a fork. auto tries one fork and falls back to spawn where that hangs or dies."`
	Canary       string                    `yaml:"canary" doc:"An R function that start: auto calls, without arguments, in a trial fork. It should do what your code does: call Java, use threads. Without it a data.frame makes a round trip."`
	BeforeFork   string                    `yaml:"before_fork" doc:"R code run in the template before each fork, such as closing connections."`
	AfterFork    string                    `yaml:"after_fork" doc:"R code run in each new worker, such as opening connections."`
	Options      map[string]string         `yaml:"options" doc:"R options(), name to an R expression." example:"{digits: '15'}"`
	Env          map[string]configs.Secret `yaml:"env" doc:"Environment variables of the R processes. Their values are never printed. TZ is UTC unless it is set here."`
	User         string                    `yaml:"user" doc:"The user that R runs as. Needs root."`
	StartTimeout configs.Duration          `yaml:"start_timeout" default:"60s" doc:"How long loading may take."`
	Grace        configs.Duration          `yaml:"grace" default:"5s" doc:"How long R code may take to stop after an interrupt, and again after SIGTERM, before it is killed."`
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
	Memory       configs.Size     `yaml:"memory" default:"0" doc:"Resident memory. A worker beyond it is killed, and its batch fails with the cause out of memory. 0 is no limit."`
	AddressSpace configs.Size     `yaml:"address_space" default:"0" doc:"Virtual memory (RLIMIT_AS). An allocation beyond it is an R error: cannot allocate vector. 0 is no limit."`
	CPU          configs.Duration `yaml:"cpu" default:"0s" doc:"Processor time of a worker's life (RLIMIT_CPU). 0 is no limit."`
	Files        int              `yaml:"files" default:"0" min:"0" doc:"Open files (RLIMIT_NOFILE). 0 is no limit."`
	Processes    int              `yaml:"processes" default:"0" min:"0" doc:"Processes of its user (RLIMIT_NPROC). 0 is no limit."`
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
	r := &f.R
	env := &rpool.Environment{
		R: r.Binary, Packages: r.Packages, Sources: r.Source, Setup: r.Setup, Dir: f.Dir(),
		Options: r.Options, Start: rpool.Start(r.Start), Canary: r.Canary,
		BeforeFork: r.BeforeFork, AfterFork: r.AfterFork, User: r.User,
		Limits: rpool.Limits{
			AddressSpace: int64(r.Limits.AddressSpace), CPU: time.Duration(r.Limits.CPU),
			Files: r.Limits.Files, Processes: r.Limits.Processes,
		},
	}
	if abs, err := filepath.Abs(env.Dir); err == nil {
		env.Dir = abs
	}
	for k, v := range r.Env {
		env.Env = append(env.Env, k+"="+string(v))
	}
	slices.Sort(env.Env)
	return env
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
