package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
	"github.com/rpipe-dev/rpipe/sinks/compact"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

func newCompact() *cobra.Command {
	o := compact.Options{}
	var target, grace, memory, progress string
	var asJSON bool
	var logging logFlags
	c := &cobra.Command{
		Use:   "compact PATH",
		Short: "Make many small Parquet files into few large ones",
		Long: `Make the many small Parquet files of an output into few large ones, each
directory of a partition for itself. Who reads by _manifest.json, as rpipe does,
finds every row once at every moment. A local directory on Linux is exchanged as
a whole, so that who lists it sees the old files or the new ones. Elsewhere write
to another place with --to, or see docs/compaction.md for what a lister may see.

PATH is a directory or s3://bucket/prefix. On S3 the files are written to
PATH-compacted, unless --to or --publish beside is given.

Ctrl-C leaves everything as it was.

Exit status: 0 done, or nothing to do; 1 it failed; 2 a flag is wrong, or
does not fit the output; 129, 130 or 143 interrupted.`,
		Example: examplesText(`
			rpipe compact out/flights --dry-run
			rpipe compact out/flights --target-size 512MiB
			rpipe compact out/events --to archive/events --sort user,-time --level 9
			rpipe compact s3://lake/events --to s3://lake/events-2026`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.Path = args[0]
			switch o.Publish {
			case "auto", compact.Exchange, compact.Beside:
			default:
				return fmt.Errorf("--publish is auto, exchange or beside, not %q", o.Publish)
			}
			var limit configs.Size
			if err := errors.Join(
				parsed("--target-size", target, configs.ParseSize, &o.TargetSize),
				parsed("--memory", memory, configs.ParseSize, &limit),
				parsed("--grace", grace, configs.ParseDuration, &o.Grace),
			); err != nil {
				return err
			}
			if o.TargetSize <= 0 {
				return fmt.Errorf("--target-size %s: a file has at least one byte", target)
			}
			p, err := newProgress(progress, &logging)
			if err != nil {
				return err
			}
			dir, err := os.Getwd()
			if err != nil {
				return err
			}
			o.Env = &stages.Env{
				Dir: dir, Parallel: runtime.GOMAXPROCS(0), Memory: int64(limit), Log: p.log, S3: store.New(store.Config{}),
			}
			return compactUnderSignals(c.Context(), o, p, asJSON)
		},
	}
	f := c.Flags()
	f.StringVar(&o.To, "to", "", "write the files to this directory or s3:// prefix, and leave PATH as it is")
	f.BoolVar(&o.Replace, "replace", false, "replace what --to holds")
	f.StringVar(&o.Publish, "publish", "auto", "in place: exchange the directory, or put new files beside the old ones")
	f.StringVar(&target, "target-size", "256MiB", "size of the files that are made; files of half of it stay as they are")
	f.IntVar(&o.AfterFiles, "min-files", 2, "leave directories alone that have fewer files to merge")
	f.StringSliceVar(&o.Sort, "sort", nil, "columns to sort by within a directory, -column for descending")
	f.StringVar(&o.Compression, "compression", "zstd", "zstd, snappy, gzip, lz4 or none")
	f.IntVar(&o.Level, "level", 0, "compression level: 1 to 22 for zstd (0: 3), 1 to 9 for gzip (0: 6)")
	f.Int64Var(&o.RowGroup.Rows, "row-group", 100_000, "rows of a row group, which ends at 64 MiB in any case")
	f.StringVar(&grace, "grace", "1h", "how long old files stay that new ones stand beside")
	f.StringVar(&memory, "memory", "512MiB", "memory that sorting may take before it goes to disk")
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be done")
	f.StringVar(&progress, "progress", "auto", "auto, plain (a line every few seconds) or none")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON on stdout")
	logging.flag(c)
	return c
}

// parsed reads the text of a flag into v.
func parsed[T any](flag, text string, parse func(string) (T, error), v *T) (err error) {
	if *v, err = parse(text); err != nil {
		err = fmt.Errorf("%s %s %w", flag, text, err)
	}
	return err
}

// compactUnderSignals compacts until it is done or a signal comes, and prints
// the report.
func compactUnderSignals(ctx context.Context, o compact.Options, p *progressLine, asJSON bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	first := make(chan os.Signal, 1)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			first <- s
			cancel(fmt.Errorf("stopped by %v: everything is as it was", s))
		case <-ctx.Done():
		}
	}()
	var seen atomic.Pointer[compact.Progress]
	o.Progress = func(s compact.Progress) { seen.Store(&s) }
	p.startCompaction(&seen)
	report, err := compact.Run(ctx, o)
	p.stop()
	cancel(nil)
	<-watched
	if err != nil {
		fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
		select {
		case s := <-first:
			return exitCode(128 + int(s.(syscall.Signal)))
		default:
		}
		var e *compact.Error
		if errors.As(err, &e) && e.Usage {
			return exitCode(pipeline.ExitConfig)
		}
		return exitCode(pipeline.ExitFailed)
	}
	if asJSON {
		return unprinted(printJSON(report))
	}
	view.Compaction(os.Stderr, report)
	return nil
}

// startCompaction shows a compaction until stop.
func (p *progressLine) startCompaction(seen *atomic.Pointer[compact.Progress]) {
	if p.none {
		return
	}
	every := plainInterval
	if p.live != nil {
		every = liveInterval
	}
	p.done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if s := seen.Load(); s != nil {
					p.drawCompaction(*s)
				}
			case <-p.quit:
				return
			}
		}
	})
}

func (p *progressLine) drawCompaction(s compact.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live != nil {
		p.live.DrawCompaction(s)
		return
	}
	fmt.Fprintln(os.Stderr, view.CompactionLine(s))
}
