package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/tasks/launch"
	"github.com/rpipe-dev/rpipe/tasks/worker"
)

// launchFlags are those of rpipe worker --launch.
type launchFlags struct {
	scheduler, template, dir string
	jobs, min                int
	set                      map[string]string
	print                    bool
}

func (f *launchFlags) flag(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.scheduler, "launch", "", "submit workers to this scheduler in place of working: slurm, sge or pbs")
	flags.StringVar(&f.template, "template", "", "with --launch: script of a job, with {{ command }} and other places (default: one that comes with rpipe)")
	flags.BoolVar(&f.print, "print-template", false, "with --launch: print the script of a job, filled in, and end")
	flags.IntVar(&f.jobs, "jobs", 1, "with --launch: jobs at most")
	flags.IntVar(&f.min, "min-jobs", 0, "with --launch: jobs that are kept up")
	flags.StringToStringVar(&f.set, "set", nil, "with --launch: name=value for the template, such as memory=8000; may be repeated")
	flags.StringVar(&f.dir, "dir", "rpipe-jobs", "with --launch: directory of scripts and logs, which the nodes see too")
}

// launchWorkers submits jobs as the queue grows, until a signal ends it.
func (f *workerFlags) launchWorkers(ctx context.Context) error {
	s, known := launch.Schedulers[f.launch.scheduler]
	if !known {
		return fmt.Errorf("--launch %q is not known: slurm, sge or pbs", f.launch.scheduler)
	}
	template := launch.Template(s.Name)
	if f.launch.template != "" {
		b, err := os.ReadFile(f.launch.template)
		if err != nil {
			return fmt.Errorf("--template: %w", err)
		}
		template = string(b)
	}
	dir, err := filepath.Abs(f.launch.dir)
	if err != nil {
		return err
	}
	command, err := f.command(dir)
	if err != nil {
		return err
	}
	slots := max(f.o.Node.Max, 1)
	values := map[string]string{"command": command, "cores": strconv.Itoa(slots)}
	for name, value := range f.launch.set {
		values[name] = value
	}
	if f.launch.print {
		values["job_name"], values["log"] = "rpipe-1-1", filepath.Join(dir, "rpipe-1-1.log")
		script, err := launch.Fill(template, values)
		if err != nil {
			return untold(pipeline.ExitConfig, err)
		}
		_, err = fmt.Print(script)
		return unprinted(err)
	}
	log, err := f.logging.log(logs.Config{})
	if err != nil {
		return err
	}
	f.o.Log = log
	return serve(ctx, serviceOptions{
		log: log, exit: workerExit, saying: "jobs are removed; their workers give back what they cannot finish",
		start: func(ctx context.Context) (service, error) {
			l, err := worker.StartLauncher(ctx, f.o, launch.Options{
				Scheduler: s, Template: template, Values: values, Min: f.launch.min, Max: f.launch.jobs, Slots: slots, Dir: dir, Log: log,
			})
			if err != nil {
				return nil, err
			}
			return l, nil
		},
		up: func(service) { log.Info("launching", "scheduler", s.Name, "jobs", f.launch.jobs, "scripts", dir) },
	})
}

// command is how a job starts its worker. What has to be secret is in files: others see
// the list of processes.
func (f *workerFlags) command(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	args := []string{self, "worker"}
	add := func(name, value string) {
		if value != "" && value != "0" {
			args = append(args, name, value)
		}
	}
	join, err := worker.JoinFile(f.o.Join, dir)
	if err != nil {
		return "", untold(pipeline.ExitConfig, err)
	}
	for _, file := range []struct{ name, path string }{{"--join", join}, {"--credentials", f.o.Credentials}, {"--ca", f.o.CA}} {
		if file.path == "" {
			continue
		}
		path, err := filepath.Abs(file.path)
		if err != nil {
			return "", err
		}
		add(file.name, path)
	}
	add("--nats", f.nats)
	add("--queue", strings.Join(f.o.Node.Queues, ","))
	add("--max", strconv.Itoa(max(f.o.Node.Max, 1)))
	add("--min", strconv.Itoa(f.o.Node.Min))
	add("--config", f.o.Node.Config)
	idle := f.idle
	if idle == "" {
		idle = "5m"
	}
	add("--idle-timeout", idle)
	if f.grace != "" {
		args = append(args, "--grace", f.grace) // 0 is none, and not the default
	}
	add("--max-memory", f.memory)
	add("--max-tasks", strconv.Itoa(f.maxTasks))
	add("--cache", f.cache)
	add("--values", f.o.Values)
	add("--user", f.user)
	if f.o.Node.LogTasks {
		args = append(args, "--log-tasks")
	}
	for i, a := range args {
		args[i] = shellQuote(a)
	}
	return strings.Join(args, " "), nil
}

// shellQuote is a word that a shell takes as it is.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || slices.Contains([]rune("-_./:,=@+"), r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
