package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/pipeline/view"
)

func newState() *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "Show or set what a pipeline's runs have left on record",
		Long: `Show or set what a pipeline's runs have left on record: the cursor where an
incremental source goes on, and the run that did not finish.

Exit status: 0 done; 1 it failed, or a run of the pipeline is working; 2 the
configuration is wrong; 3 the environment is (a place that cannot be read).`,
		Example: examplesText(`
			rpipe state show nightly.yaml
			rpipe state get nightly.yaml
			rpipe state set nightly.yaml 2026-11-01T00:00:00Z
			rpipe state clear nightly.yaml`),
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newStateGet(), newStateSet(), newStateClear(), newStateShow())
	return c
}

func newStateGet() *cobra.Command {
	var vars variables
	c := &cobra.Command{
		Use:   "get FILE",
		Short: "Print the cursor where the next run goes on",
		Long: `Print the cursor where the next run of an incremental source goes on. Nothing is
printed on stdout where none is saved: the next run reads everything.`,
		Example: examplesText(`rpipe state get nightly.yaml`),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := openState(args[0], vars)
			if err != nil {
				return err
			}
			at, _, _, err := s.dir.Cursor(c.Context())
			switch {
			case err != nil:
				return told(&pipeline.EnvironmentError{Err: err})
			case at == "":
				fmt.Fprintf(os.Stderr, "%s has no cursor: %s\n", s.file.Name, s.without())
				return nil
			}
			_, err = fmt.Println(at)
			return unprinted(err)
		},
	}
	vars.flag(c)
	return c
}

func newStateSet() *cobra.Command {
	var vars variables
	var force bool
	c := &cobra.Command{
		Use:   "set FILE CURSOR",
		Short: "Say where the next run goes on",
		Long: `Say where the next run of an incremental source goes on. What it means is the
source's matter: rpipe state get shows how it is written. A text is refused where
the cursor that a run has saved, or initial, is a number or a time, and the like:
runs would leave everything out, or read all again. Nothing is changed while a run
of the pipeline is working.`,
		Example: examplesText(`rpipe state set nightly.yaml 2026-11-01T00:00:00Z`),
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return changeCursor(c.Context(), args[0], vars, args[1], force)
		},
	}
	vars.flag(c)
	c.Flags().BoolVar(&force, "force", false, "save the cursor whatever it is")
	return c
}

func newStateClear() *cobra.Command {
	var vars variables
	c := &cobra.Command{
		Use:   "clear FILE",
		Short: "Forget the cursor: the next run reads everything",
		Long: `Forget the cursor: the next run of an incremental source reads everything. The
run that did not finish stays on record; rpipe run --fresh gives it up. Nothing
is changed while a run of the pipeline is working.`,
		Example: examplesText(`rpipe state clear nightly.yaml`),
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return changeCursor(c.Context(), args[0], vars, "", false)
		},
	}
	vars.flag(c)
	return c
}

func newStateShow() *cobra.Command {
	var vars variables
	var asJSON bool
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "Show the cursor and the run that did not finish",
		Long: `Show the cursor of an incremental source, and the run that did not finish, or is
working: how far it is on record, and which files it has ready.`,
		Example: examplesText(`
			rpipe state show nightly.yaml
			rpipe state show nightly.yaml --json | jq .unfinished.rows`),
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := openState(args[0], vars)
			if err != nil {
				return err
			}
			shown, err := s.look(c.Context())
			if err != nil {
				return told(&pipeline.EnvironmentError{Err: err})
			}
			if asJSON {
				return unprinted(printJSON(shown))
			}
			view.State(os.Stdout, shown)
			return nil
		},
	}
	vars.flag(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

// record is the state of one pipeline.
type record struct {
	file *pipeline.File
	dir  *journal.Dir
}

func openState(path string, vars variables) (*record, error) {
	f, err := load(path, vars)
	if err != nil {
		return nil, err
	}
	dir, err := f.State()
	if err != nil {
		return nil, told(err)
	}
	return &record{f, dir}, nil
}

// without says what it means that there is no cursor.
func (s *record) without() string {
	if s.file.Incremental() {
		return "the next run reads everything"
	}
	return "its source is not incremental, and each run reads everything"
}

// look reads all that is on record.
func (s *record) look(ctx context.Context) (*pipeline.State, error) {
	shown := &pipeline.State{Pipeline: s.file.Name, Path: s.dir.Path(), Running: s.dir.Locked()}
	at, run, saved, err := s.dir.Cursor(ctx)
	if err != nil {
		return nil, err
	}
	if at != "" {
		shown.Cursor = &pipeline.SavedCursor{Value: at, Run: run, Saved: saved}
	}
	j, err := s.dir.Journal(ctx)
	if err != nil || j == nil {
		return shown, err
	}
	shown.Unfinished = pipeline.Unfinish(j)
	return shown, nil
}

// changeCursor saves a cursor, or forgets it where it is "".
func changeCursor(ctx context.Context, path string, vars variables, at string, force bool) error {
	s, err := openState(path, vars)
	if err != nil {
		return err
	}
	if !s.file.Incremental() {
		return told(&pipeline.ConfigError{
			File: path, At: s.file.Place("source"), Path: "source",
			Err: errors.New("is not incremental: there is no cursor that a run would begin at"),
		})
	}
	if err := s.dir.Lock(); errors.Is(err, journal.ErrLocked) {
		return told(err)
	} else if err != nil {
		return told(&pipeline.EnvironmentError{Err: err})
	}
	defer s.dir.Unlock()
	if at != "" && !force {
		saved, _, _, err := s.dir.Cursor(ctx)
		if err != nil {
			return told(&pipeline.EnvironmentError{Err: err})
		}
		if err := s.file.CheckCursor(at, saved); err != nil {
			return fmt.Errorf("%w; --force saves it all the same", err)
		}
	}
	j, err := s.dir.Journal(ctx)
	if err == nil && at == "" {
		err = s.dir.ClearCursor(ctx)
	} else if err == nil {
		err = s.dir.SaveCursor(ctx, at, "")
	}
	if err != nil {
		return told(&pipeline.EnvironmentError{Err: err})
	}
	if j != nil {
		fmt.Fprintf(os.Stderr, "run %s did not finish (%s): with --resume it goes on from its own record, and saves its own cursor\n",
			j.Run, j.Updated.Format(time.DateTime))
	}
	return nil
}

// told prints an error and carries its exit status.
func told(err error) error {
	if err == nil {
		return nil
	}
	fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
	return exitCode(pipeline.ExitCode(nil, err))
}
