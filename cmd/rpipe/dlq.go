package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
	"github.com/rpipe-dev/rpipe/sinks"
)

func newDLQ() *cobra.Command {
	c := &cobra.Command{
		Use:   "dlq",
		Short: "Show the rows that failed, and run them again",
		Long: `Show the rows that failed and are in a pipeline's dead letter, and run them again
through the stages where they failed and those behind.`,
		Example: examplesText(`
			rpipe dlq show nightly.yaml
			rpipe dlq replay nightly.yaml`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newDLQShow(), newDLQReplay())
	return c
}

func newDLQShow() *cobra.Command {
	var vars variables
	var filter pipeline.DeadFilter
	var since string
	var rows int
	var asJSON bool
	c := &cobra.Command{
		Use:   "show FILE|PATH",
		Short: "Show the rows that failed",
		Long: `Show the rows that failed: how many by stage and error, and with --rows the rows
themselves. FILE is a pipeline file, PATH the directory or s3:// prefix of a dead
letter.

Exit status: 0 done, also where no row has failed; 1 it failed; 2 the
configuration is wrong; 3 the environment is (a place that cannot be read).`,
		Example: examplesText(`
			rpipe dlq show nightly.yaml
			rpipe dlq show nightly.yaml --rows 3 --stage predict --since 24h
			rpipe dlq show s3://lake/dead --json | jq .error`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if since != "" {
				var err error
				if filter.Since, err = parseSince(since, time.Now()); err != nil {
					return err
				}
			}
			return showDead(c.Context(), args[0], vars, filter, rows, asJSON)
		},
	}
	vars.flag(c)
	c.Flags().StringVar(&filter.Stage, "stage", "", "rows that failed in the stage of this label")
	c.Flags().StringVar(&filter.Run, "run", "", "rows of this run")
	c.Flags().StringVar(&since, "since", "", "rows that failed since then: a time, a day, or how long ago (24h)")
	c.Flags().IntVar(&rows, "rows", 0, "show this many rows with error and traceback (-1: all)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the rows, all unless --rows says how many, as a JSON object a line")
	return c
}

// parseSince reads a time, a day, or how long ago.
func parseSince(text string, now time.Time) (time.Time, error) {
	if d, err := configs.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(d)), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is no time (2026-11-01, 2026-11-01T08:00:00Z, in UTC) and no duration (24h)", text)
}

// deadLettersOf are those of a pipeline file, or at a path.
func deadLettersOf(ctx context.Context, name string, vars variables) (*pipeline.DeadLetters, error) {
	if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" {
		f, err := load(name, vars)
		if err != nil {
			return nil, err
		}
		return f.DeadLetters(ctx)
	}
	return pipeline.DeadLettersAt(ctx, name)
}

// errEnough ends the listing of rows.
var errEnough = errors.New("enough")

func showDead(ctx context.Context, name string, vars variables, filter pipeline.DeadFilter, rows int, asJSON bool) error {
	d, err := deadLettersOf(ctx, name, vars)
	var code exitCode
	switch {
	case errors.As(err, &code):
		return err
	case errors.Is(err, sinks.ErrNoDeadLetter):
		if !asJSON {
			fmt.Fprintf(os.Stderr, "%v\n", err)
		}
		return nil
	case err != nil:
		return told(err)
	}
	if !asJSON && rows == 0 {
		groups, err := d.Groups(ctx, filter)
		if err != nil {
			return told(err)
		}
		if len(groups) == 0 {
			what := "holds no such row"
			if filter == (pipeline.DeadFilter{}) {
				what = "is empty"
			}
			fmt.Fprintf(os.Stderr, "%s %s\n", d.Path, what)
		}
		view.DeadGroups(os.Stdout, groups)
		return nil
	}
	if rows == 0 {
		rows = -1
	}
	out := json.NewEncoder(os.Stdout)
	shown := 0
	err = d.Each(ctx, filter, true, func(r *pipeline.DeadRow) error {
		if shown == rows {
			return errEnough
		}
		shown++
		if asJSON {
			return unprinted(out.Encode(r))
		}
		if shown > 1 {
			fmt.Println()
		}
		view.DeadRow(os.Stdout, r)
		return nil
	})
	if err == nil || errors.Is(err, errEnough) || errors.As(err, &code) {
		return asExit(err)
	}
	return told(err)
}

// asExit is the status that an error carries, nil for none.
func asExit(err error) error {
	var code exitCode
	if errors.As(err, &code) {
		return code
	}
	return nil
}

func newDLQReplay() *cobra.Command {
	var vars variables
	var o replayOptions
	var progress string
	var logging logFlags
	c := &cobra.Command{
		Use:   "replay FILE",
		Short: "Run the rows that failed again",
		Long: `Run the rows that failed again through the same pipeline, beginning at the stage
where they failed, just as they entered it. What succeeds is added to the output,
whatever if_exists says, and leaves the dead letter; what fails again stays there
with its new error. No row is lost or there twice, whenever the machine fails: run
the command again after a crash.

Rows of one stage with the same columns are one run, which appears as a whole or
not at all. Records of csv and ndjson that could not be parsed are parsed again,
by the settings that the file has now.

Exit status: 0 done; 1 it failed, and everything is as it was; 2 the configuration
is wrong, or the pipeline cannot take single rows; 3 the environment is; 4 done,
and some rows have failed again, or would in a dry run; 129, 130 or 143 interrupted.`,
		Example: examplesText(`
			rpipe dlq replay nightly.yaml --dry-run      # what would become of them
			rpipe dlq replay nightly.yaml
			rpipe dlq replay nightly.yaml --stage predict --run 20261101T020000-8c1f04d2`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := newProgress(progress, &logging)
			if err != nil {
				return err
			}
			o.path, o.vars = args[0], vars
			return o.replay(c.Context(), p)
		},
	}
	vars.flag(c)
	c.Flags().StringVar(&o.filter.Stage, "stage", "", "rows that failed in the stage of this label")
	c.Flags().StringVar(&o.filter.Run, "run", "", "rows of this run")
	c.Flags().BoolVar(&o.dry, "dry-run", false, "do everything but write: no output, and the dead letter stays as it is")
	c.Flags().StringVar(&progress, "progress", "auto", "auto, plain (a line every few seconds) or none")
	c.Flags().BoolVar(&o.fresh, "fresh", false, "give up the replay that did not finish: rows that it has published already come again")
	c.MarkFlagsMutuallyExclusive("fresh", "dry-run")
	c.Flags().BoolVar(&o.asJSON, "json", false, "print the report of each run as JSON on stdout")
	logging.flag(c)
	return c
}

type replayOptions struct {
	path   string
	vars   variables
	filter pipeline.DeadFilter
	dry    bool
	fresh  bool
	asJSON bool
}

// replay first ends a replay that died while it published, then runs what is in
// the dead letter, a directory after the other.
func (o *replayOptions) replay(ctx context.Context, p *progressLine) error {
	f, err := load(o.path, o.vars)
	if err != nil {
		return err
	}
	again := false
	if o.fresh {
		if err := f.GiveUpReplay(ctx); err != nil {
			return told(err)
		}
	} else if !o.dry {
		if again, err = o.finish(ctx, p); err != nil {
			return err
		}
	}
	replays, err := f.Replays(ctx, o.filter)
	if errors.Is(err, sinks.ErrNoDeadLetter) {
		fmt.Fprintf(os.Stderr, "%v\n", err)
		return nil
	}
	if err != nil {
		return told(err)
	}
	if len(replays) == 0 && !again {
		fmt.Fprintln(os.Stderr, "no row of the dead letter is to be run again")
	}
	for _, r := range replays { // find what cannot be before anything is done
		if _, err := f.ForReplay(ctx, r); err != nil {
			return told(err)
		}
	}
	var failed exitCode
	for _, r := range replays {
		f, err := load(o.path, o.vars)
		if err != nil {
			return err
		}
		if f, err = f.ForReplay(ctx, r); err != nil {
			return told(err)
		}
		err = o.one(ctx, f, pipeline.Options{Dry: o.dry}, p)
		if errors.As(err, &failed) && failed == pipeline.ExitDeadLetters {
			continue
		}
		if err != nil {
			return err
		}
	}
	if failed != 0 {
		return failed
	}
	return nil
}

// finish ends the replay that died while it published, if there is one.
func (o *replayOptions) finish(ctx context.Context, p *progressLine) (was bool, err error) {
	f, problems, err := pipeline.LoadUnfinishedReplay(ctx, o.path, o.vars)
	if len(problems.Errors()) > 0 {
		problems.Format(os.Stderr, colored(os.Stderr))
		return false, exitCode(pipeline.ExitConfig)
	}
	if err != nil || f == nil {
		return false, told(err)
	}
	err = o.one(ctx, f, pipeline.Options{Resume: true}, p)
	var code exitCode
	if errors.As(err, &code) && code == pipeline.ExitDeadLetters {
		err = nil
	}
	return true, err
}

// one runs the rows of one directory.
func (o *replayOptions) one(ctx context.Context, f *pipeline.File, options pipeline.Options, p *progressLine) error {
	fmt.Fprintf(os.Stderr, "replay of %s\n", f.Replaying())
	fresh := &progressLine{log: p.log, live: p.live, none: p.none, quit: make(chan struct{})}
	options.Log = p.log
	report, err := run(ctx, f, options, fresh, o.asJSON)
	if report != nil && o.dry && !o.asJSON {
		samples(report)
	}
	return err
}
