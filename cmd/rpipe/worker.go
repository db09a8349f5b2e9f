package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks/launch"
	"github.com/rpipe-dev/rpipe/tasks/worker"
	"github.com/rpipe-dev/rpipe/trace"
)

// workerFlags are those of rpipe worker.
type workerFlags struct {
	o             worker.Options
	nats          string
	idle, grace   string
	memory, cache string
	maxTasks      int
	user          string
	launch        launchFlags
	logging       logFlags
	health        string
}

func newWorker() *cobra.Command {
	var f workerFlags
	c := &cobra.Command{
		Use:   "worker --join FILE | --nats URL,...",
		Short: "Run tasks of a server elsewhere; see and stop workers",
		Long: `Run tasks of a server elsewhere on this machine. --join takes what the server wrote at
rpipe serve --nats-listen ADDRESS --join FILE; --nats the addresses of a cluster. One
worker has many R processes, which come and go with the work.

SIGINT and SIGTERM finish the tasks under way for as long as --grace, then give them
back; a second one gives them back at once. With --idle-timeout it ends by itself when
there is nothing to do. Killing it loses nothing: its tasks run elsewhere.

With --launch slurm, sge or pbs it runs nothing itself: it submits jobs to the scheduler
as the queue grows, each of which is such a worker, and lets them end when idle.

Exit status: 0 ended, 130 or 143 by a second signal; 1 it failed; 2 a flag is wrong; 3 the server cannot be reached, or
R is missing.`,
		Example: examplesText(`
			rpipe worker --join join.json --queue short,long --max 16
			rpipe worker --nats nats://a,nats://b,nats://c --config gpu
			rpipe worker --join join.json --idle-timeout 10m
			rpipe worker --join join.json --launch slurm --jobs 20 --max 4 --set memory=8000
			rpipe worker list
			rpipe worker stop node7-1a2b3c`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.fill(); err != nil {
				return err
			}
			if f.launch.scheduler != "" {
				return f.launchWorkers(c.Context())
			}
			return f.serve(c.Context())
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.o.Join, "join", os.Getenv("RPIPE_JOIN"), "what rpipe serve --join wrote: the file, or the text (default: $RPIPE_JOIN)")
	flags.StringVar(&f.nats, "nats", "", "NATS servers of a cluster, with commas")
	flags.StringVar(&f.o.Credentials, "credentials", "", "file with the credentials for those servers")
	flags.StringVar(&f.o.CA, "ca", "", "file with the authorities of their certificates")
	flags.StringSliceVar(&f.o.Node.Queues, "queue", nil, "queues to take from, in order of priority (default: default)")
	flags.IntVar(&f.o.Node.Min, "min", 0, "R processes that are kept up")
	flags.IntVar(&f.o.Node.Max, "max", 0, "R processes at most (0: one for each core)")
	flags.StringVar(&f.o.Node.Config, "config", "", "named settings on the server, for what is not said here")
	flags.StringVar(&f.o.Node.ID, "name", "", "its id (default: the machine's name and a random end)")
	flags.StringVar(&f.idle, "idle-timeout", "", "end after so long without a task, such as 10m (default: never)")
	flags.StringVar(&f.grace, "grace", "30s", "how long tasks have to end at SIGTERM")
	flags.StringVar(&f.memory, "max-memory", "", "resident memory of one R process, such as 4GiB")
	flags.IntVar(&f.maxTasks, "max-tasks", 0, "replace an R process after about so many tasks (0: never)")
	flags.StringVar(&f.user, "user", "", "user that R runs as; needs root")
	flags.StringVar(&f.cache, "cache", "", "directory of copies of values (default: a temporary one)")
	flags.StringVar(&f.o.Values, "values", "", "where the server's directory of values is on this machine, where it differs")
	flags.BoolVar(&f.o.Node.LogTasks, "log-tasks", false, "log each task")
	f.launch.flag(c)
	flags.StringVar(&f.health, "health-listen", "", "address for /healthz, /readyz and /metrics of this worker, such as 127.0.0.1:7034 (default: none)")
	f.logging.flag(c)
	c.AddCommand(newWorkerList(), newWorkerStop(), newWorkerLog(), newWorkerMessage(), newWorkerConfig())
	return c
}

func (f *workerFlags) fill() error {
	_ = os.Unsetenv("RPIPE_JOIN") // the code of tasks shall not find it
	f.o.URLs = splitList(f.nats)
	n := &f.o.Node
	var err error
	if n.IdleTimeout, err = optionalDuration("idle-timeout", f.idle); err != nil {
		return err
	}
	if n.Grace, err = optionalDuration("grace", f.grace); n.Grace == 0 {
		n.Grace = -1 // none, and not the default
	}
	if err != nil {
		return err
	}
	size, err := optionalSize("max-memory", f.memory)
	if err != nil {
		return err
	}
	if size != nil {
		n.Limits.MaxMemory = int64(*size)
	}
	switch {
	case n.Min < 0 || n.Max < 0 || f.maxTasks < 0:
		return errors.New("--min, --max and --max-tasks cannot be negative")
	case n.Max > 0 && n.Min > n.Max:
		return fmt.Errorf("--min %d is more than --max %d", n.Min, n.Max)
	}
	n.Limits.MaxRequests = f.maxTasks
	n.Base.User = f.user
	n.Version = version
	n.Launched = launch.JobID()
	f.o.Cache = f.cache
	return nil
}

func (f *workerFlags) serve(ctx context.Context) error {
	if _, _, err := rpool.FindR(""); err != nil {
		return untold(pipeline.ExitEnvironment, err)
	}
	log, err := f.logging.log(logs.Config{})
	if err != nil {
		return err
	}
	f.o.Log, f.o.Health = log, f.health
	tracing, err := trace.Config{Sample: 1}.FromEnv()
	if err != nil {
		return untold(pipeline.ExitConfig, fmt.Errorf("tracing: %w", err))
	}
	if f.o.Tracer, err = trace.New(ctx, tracing, trace.Service{Name: "rpipe-worker", Version: version, Log: log}); err != nil {
		return untold(pipeline.ExitConfig, err)
	}
	defer f.o.Tracer.Close()
	return serve(ctx, serviceOptions{
		log: log, exit: workerExit, saying: "tasks under way are finished or given back",
		start: func(ctx context.Context) (service, error) {
			w, err := worker.Start(ctx, f.o)
			if err != nil {
				return nil, err
			}
			return w, nil
		},
		up: func(service) {}, // it says itself when it works
	})
}

func workerExit(err error) int {
	var config *worker.ConfigError
	if errors.As(err, &config) {
		return pipeline.ExitConfig
	}
	return pipeline.ExitEnvironment
}

// splitList are the parts of a text between commas.
func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
