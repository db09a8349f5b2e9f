package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/logs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/trace"
)

func newRun() *cobra.Command {
	var vars variables
	var o pipeline.Options
	var progress string
	var asJSON bool
	var logging logFlags
	var head int
	c := &cobra.Command{
		Use:   "run FILE",
		Short: "Run a pipeline",
		Long: `Run a pipeline and wait for its end. The output appears when all of it is
written, and not at all when the run fails.

What a long run has done is put on record every minute (commit: in the file). A
run that died, failed or was stopped goes on with --resume where the record ends,
and each row is in the output once; without anything on record --resume starts
at the beginning.

Ctrl-C (SIGINT, SIGTERM, SIGHUP) stops reading and commits what was read, unless
that would replace complete output; a second one stops at once.

Exit status: 0 done; 1 the run failed; 2 the configuration is wrong; 3 the
environment is (no R, a directory that cannot be written); 4 done, with rows in
the dead letter; 129, 130 or 143 interrupted.`,
		Example: examplesText(`
			rpipe run flights.yaml
			rpipe run flights.yaml --limit 1000 -v out=try # the first rows, where path is "${out:out}"
			rpipe run flights.yaml --limit 1000 --dry-run  # writes nothing, prints a few rows
			rpipe run nightly.yaml -v day=2026-11-01     # fills ${day}
			rpipe run nightly.yaml --resume              # after a crash, or Ctrl-C
			rpipe run flights.yaml --progress plain --json > report.json`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f, err := loadFor(c.Context(), args[0], vars, o)
			if err != nil {
				return err
			}
			p, err := newProgress(progress, &logging)
			if err != nil {
				return err
			}
			o.Log = p.log
			if p.json {
				o.Log = o.Log.With(logs.Pipeline, f.Name, logs.Run, f.RunID)
			}
			tracing, err := trace.Config{Sample: 1}.FromEnv()
			if err != nil {
				return untold(pipeline.ExitConfig, fmt.Errorf("tracing: %w", err))
			}
			if o.Tracer, err = trace.New(c.Context(), tracing, trace.Service{Name: "rpipe-run", Version: version, Log: p.log}); err != nil {
				return untold(pipeline.ExitConfig, err)
			}
			defer o.Tracer.Close()
			report, err := run(c.Context(), f, o, p, asJSON)
			switch {
			case report == nil || asJSON:
			case o.Dry:
				samples(report)
			case head > 0:
				firstRows(c.Context(), report, head)
			}
			return err
		},
	}
	vars.flag(c)
	c.Flags().Int64Var(&o.Limit, "limit", 0, "read at most this many rows (0: all)")
	c.Flags().BoolVar(&o.Resume, "resume", false, "go on with the run that did not finish, if there is one")
	c.Flags().BoolVar(&o.Fresh, "fresh", false, "give up the run that did not finish, if there is one")
	c.Flags().BoolVar(&o.Dry, "dry-run", false, "do everything but write: no output, no dead letter, no state")
	c.MarkFlagsMutuallyExclusive("resume", "fresh", "dry-run")
	c.MarkFlagsMutuallyExclusive("resume", "limit")
	c.Flags().StringVar(&progress, "progress", "auto", "auto, plain (a line every few seconds) or none")
	c.Flags().IntVar(&head, "head", 0, "print this many rows of the output at the end")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON on stdout")
	logging.flag(c)
	return c
}

// load reads a pipeline file and prints its problems, if there are any.
func load(path string, vars map[string]string) (*pipeline.File, error) {
	f, problems := pipeline.Load(path, vars)
	problems.Format(os.Stderr, colored(os.Stderr))
	if len(problems.Errors()) > 0 {
		return nil, exitCode(pipeline.ExitConfig)
	}
	return f, nil
}

// loadFor loads a pipeline file for a new run, or for the one to go on with.
func loadFor(ctx context.Context, path string, vars map[string]string, o pipeline.Options) (*pipeline.File, error) {
	if !o.Resume {
		return load(path, vars)
	}
	f, problems, err := pipeline.LoadToResume(ctx, path, vars)
	problems.Format(os.Stderr, colored(os.Stderr))
	if len(problems.Errors()) > 0 {
		return nil, exitCode(pipeline.ExitConfig)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
		return nil, exitCode(pipeline.ExitCode(nil, err))
	}
	return f, nil
}

// run runs f to its end under the signals, draws its progress, and prints its report.
func run(ctx context.Context, f *pipeline.File, o pipeline.Options, p *progressLine, asJSON bool) (*pipeline.Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // a reader that has left is an error of the sink, not the end of us
	defer signal.Stop(signals)
	started := make(chan *pipeline.Run, 1)
	first := make(chan os.Signal, 1)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		obey(ctx, signals, started, first, cancel, o.Log)
	}()
	r, err := pipeline.Start(ctx, f, o)
	var report *pipeline.Report
	if err == nil {
		started <- r
		p.start(r)
		report, err = r.Wait()
		p.stop()
	}
	cancel(nil)
	<-stopped
	if errors.Is(err, syscall.EPIPE) { // head has seen enough
		return report, exitCode(128 + int(syscall.SIGPIPE))
	}
	if report != nil {
		if e := show(report, asJSON); e != nil && err == nil {
			err = fmt.Errorf("print the report: %w", e)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
		view.Traceback(os.Stderr, pipeline.Traceback(err))
	}
	select {
	case s := <-first:
		if report == nil || report.Drained || err != nil { // else it came when all had been read
			return report, exitCode(128 + int(s.(syscall.Signal)))
		}
	default:
	}
	if code := pipeline.ExitCode(report, err); code != 0 {
		return report, exitCode(code)
	}
	return report, nil
}

// sameSignal is how soon after the first a signal is the same one: timeout(1)
// sends it to the process and to its group.
const sameSignal = 100 * time.Millisecond

// obey drains the run at the first signal and stops it at the second.
func obey(ctx context.Context, signals <-chan os.Signal, started <-chan *pipeline.Run, first chan<- os.Signal, cancel context.CancelCauseFunc, log *slog.Logger) {
	var r *pipeline.Run
	var at time.Time // of the last signal
	for n := 1; ; {
		select {
		case r = <-started:
		case s := <-signals:
			if n == 2 && time.Since(at) < sameSignal {
				continue
			}
			if at = time.Now(); n == 1 {
				first <- s
			}
			if r == nil {
				select { // both were there: a run that has started is drained, not stopped
				case r = <-started:
				default:
				}
			}
			if n == 1 && r != nil {
				s := r.Snapshot()
				log.Info("stopping: what was read is finished; again to stop at once", "rows_left", s.Read.Rows-s.Written())
				r.Drain()
			} else {
				cancel(fmt.Errorf("stopped by %v", s))
			}
			n++
		case <-ctx.Done():
			return
		}
	}
}

func show(r *pipeline.Report, asJSON bool) error {
	if asJSON {
		return printJSON(r)
	}
	view.Report(os.Stderr, r)
	return nil
}

// samples prints the rows that a dry run has kept.
func samples(r *pipeline.Report) {
	for _, to := range r.Outputs {
		if to.Sample == nil {
			fmt.Printf("\nNo row would go to %s.\n", to.Sink)
			continue
		}
		fmt.Printf("\nThe first rows for %s, which was not written:\n\n", to.Sink)
		if err := sinks.Print(os.Stdout, to.Sample); err != nil {
			fmt.Fprintf(os.Stderr, "rpipe: %v\n", err)
		}
	}
}

// firstRows prints the beginning of the first Parquet file that was written.
func firstRows(ctx context.Context, r *pipeline.Report, n int) {
	for _, part := range r.Files {
		if !strings.HasSuffix(part.Path, ".parquet") || part.Rows == 0 {
			continue
		}
		path := filepath.Join(r.Output, filepath.FromSlash(part.Path))
		f, err := sources.Head(ctx, path, n)
		if err != nil {
			fmt.Fprintf(os.Stderr, "rpipe: %v\n", err)
			return
		}
		fmt.Printf("\nThe first rows of %s:\n\n", path)
		if err := sinks.Print(os.Stdout, f); err != nil {
			fmt.Fprintf(os.Stderr, "rpipe: %v\n", err)
		}
		return
	}
}

// interval is how often a plain progress line is printed, and a live one redrawn.
const (
	plainInterval = 5 * time.Second
	liveInterval  = 200 * time.Millisecond
)
