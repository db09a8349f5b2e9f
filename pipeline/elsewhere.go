package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/rblock"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/client"
	"github.com/rpipe-dev/rpipe/tasks/remote"
)

// Tasks is the tasks block: the server whose workers call functions elsewhere.
type Tasks struct {
	URL   string         `yaml:"url" doc:"Address of the task server (rpipe serve). Without it RPIPE_URL is looked at, then the server that this user runs on this machine is taken." example:"https://tasks.example.org:7033"`
	Token configs.Secret `yaml:"token" doc:"Token of scope submit. Without it RPIPE_TOKEN is looked at. A server on this machine needs none."`
	CA    string         `yaml:"ca" doc:"File in PEM with the authority of the server's certificate, where it is none that this machine trusts. Without it RPIPE_CA is looked at."`
	Dir   string         `yaml:"dir" doc:"Working directory of the R code on the workers' machines: an absolute path, such as one on a file system that all of them share. Without it, the worker's own."`
}

// Check implements configs.Checker.
func (t *Tasks) Check(report func(field, message, hint string)) {
	if t.Dir != "" && !filepath.IsAbs(t.Dir) {
		report("dir", "is relative, and the workers are on other machines", "give an absolute path that is there on all of them")
	}
}

// elsewhere is a stage that may run on a queue.
type elsewhere interface{ Elsewhere() string }

// queueOf is the queue that a stage runs on; "" is here.
func queueOf(s StageSpec) string {
	if e, ok := s.Use.(elsewhere); ok {
		return e.Elsewhere()
	}
	return ""
}

// Queues are those that stages run on, each once.
func (f *File) Queues() []string {
	var queues []string
	seen := map[string]bool{"": true}
	for _, s := range f.all() {
		if q := queueOf(s); !seen[q] {
			seen[q] = true
			queues = append(queues, q)
		}
	}
	return queues
}

// NeedsPool reports whether any stage uses R processes of this run.
func (f *File) NeedsPool() bool {
	for _, s := range f.all() {
		if _, ok := s.Use.(stages.UsesR); ok && queueOf(s) == "" {
			return true
		}
	}
	return false
}

// checkQueues reports names that no queue can have.
func (f *File) checkQueues(report func(field, message, hint string)) {
	paths := f.paths()
	for i, s := range f.all() {
		if q := queueOf(s); q != "" {
			if err := tasks.CheckName("a queue", q); err != nil {
				report(fmt.Sprintf("%s.%s.on", paths[i], Transforms.NameOf(s.Use)), err.Error(), "")
			}
		}
	}
}

// warnQueues tells what does nothing on other machines, and what does without a queue.
func (f *File) warnQueues(report func(field, message, hint string)) {
	if len(f.Queues()) == 0 {
		if f.Tasks != (Tasks{}) {
			report("tasks", "does nothing: no map says on: a queue", "say on: default in a map, or leave the block out")
		}
		return
	}
	var without rblock.Block
	configs.SetDefaults(&without)
	b := &f.R.Block
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"binary", b.Binary != ""}, {"start", b.Start != without.Start}, {"canary", b.Canary != ""},
		{"before_fork", b.BeforeFork != ""}, {"after_fork", b.AfterFork != ""}, {"user", b.User != ""},
	} {
		if field.set {
			report("r."+field.name, "does nothing in a map with on: it is a matter of the workers there", "say it where rpipe serve or rpipe worker is configured")
		}
	}
	if len(b.Env) > 0 {
		report("r.env", "goes to the task server for maps with on, and is kept there", "set secrets where rpipe worker is configured")
	}
}

// openQueues finds the task server, and makes sure that it can be used, before anything
// is read. Jobs that an earlier process of this run has left behind are removed.
func (r *Run) openQueues(ctx context.Context) error {
	t := r.file.Tasks
	o := client.Options{URL: t.URL, Token: string(t.Token), CA: r.file.orNone(t.CA), Log: r.log, Agent: "rpipe run"}
	if err := reachable(ctx, o); err != nil {
		return &EnvironmentError{Err: fmt.Errorf("tasks: %w", err)}
	}
	o.Retries = 12 // from here on: a server that is restarted is back within a minute
	c, err := client.Find(o)
	if err != nil {
		return &EnvironmentError{Err: fmt.Errorf("tasks: %w", err)}
	}
	r.server = c
	labels := map[string]string{"rpipe.run": r.id}
	if r.resumed.Run != "" {
		if err := remote.Sweep(ctx, c, labels); err != nil {
			return &EnvironmentError{Err: fmt.Errorf("tasks: %w", err)}
		}
	}
	for _, queue := range r.file.Queues() {
		p, err := remote.New(ctx, remote.Options{Client: c, Queue: queue, Dir: t.Dir, Labels: labels, Log: r.log})
		if err != nil {
			return &EnvironmentError{Err: fmt.Errorf("tasks: %w", err)}
		}
		if r.queues == nil {
			r.queues = map[string]*remote.Pool{}
		}
		r.queues[queue] = p
		if _, err := p.Ready(ctx, r.env.R); err != nil {
			return &EnvironmentError{Err: fmt.Errorf("tasks: %w", err)}
		}
	}
	r.env.Queue = func(name string) (stages.Executor, error) {
		p, ok := r.queues[name]
		if !ok {
			return nil, fmt.Errorf("queue %s has not been opened", name)
		}
		return p, nil
	}
	return nil
}

// reachable finds out whether a server answers, without much patience.
func reachable(ctx context.Context, o client.Options) error {
	o.Retries = 2
	c, err := client.Find(o)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Info(ctx)
	return err
}

// orNone is resolve of a path that may be "".
func (f *File) orNone(path string) string {
	if path == "" {
		return ""
	}
	return f.resolve(path)
}

// openR brings up what calls R functions: workers of this run, queues, or both.
func (r *Run) openR(ctx context.Context, o Options) error {
	if !r.file.NeedsR() || r.resumed.Phase == journal.Publishing {
		return nil
	}
	r.env.Printed, r.env.R = stages.NewRelay(r.log), r.file.Environment()
	if r.file.NeedsPool() {
		if err := r.openPool(ctx, o.Pool); err != nil {
			return err
		}
	}
	if len(r.file.Queues()) > 0 {
		return r.openQueues(ctx)
	}
	return nil
}

// releaseR gives back what openR brought up.
func (r *Run) releaseR() error {
	var errs []error
	if r.pool != nil && !r.others {
		errs = append(errs, r.pool.Close())
	}
	for _, p := range r.queues {
		errs = append(errs, p.Close())
	}
	if r.server != nil {
		r.server.Close()
	}
	if r.env != nil && r.env.Printed != nil {
		r.env.Printed.Close()
	}
	return errors.Join(errs...)
}
