package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/view"
)

func newTest() *cobra.Command {
	var vars variables
	var match string
	var asJSON, verbose bool
	c := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run the unit tests that pipeline files hold",
		Long: `Run the unit tests of pipeline files, which stand in their tests block: rows go
in at one stage and are looked at behind others. R and SQL are the real ones; the
source is not read, the sinks write nothing, and a stage that is mocked asks
nobody.

Exit status: 0 all tests passed; 1 some failed; 2 a file is wrong or has no
tests; 3 the environment is (no R); 129, 130 or 143 interrupted.`,
		Example: examplesText(`
			rpipe test flights.yaml
			rpipe test flights.yaml --run 'late|early'
			rpipe test pipelines/*.yaml --json > tests.json`),
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o := pipeline.TestOptions{Vars: vars, Log: testLog(verbose)}
			if match != "" {
				var err error
				if o.Run, err = regexp.Compile(match); err != nil {
					return fmt.Errorf("--run is a regular expression: %w", err)
				}
			}
			return testFiles(c.Context(), args, o, asJSON)
		},
	}
	vars.flag(c)
	c.Flags().StringVar(&match, "run", "", "run the tests whose name matches this regular expression")
	c.Flags().BoolVar(&asJSON, "json", false, "print the results as JSON on stdout")
	c.Flags().BoolVar(&verbose, "verbose", false, "log what R prints and warns of")
	return c
}

// testLog shows what stages and R say only where it is asked for.
func testLog(verbose bool) *slog.Logger {
	out, level := io.Discard, slog.LevelInfo
	if verbose {
		out, level = os.Stderr, slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: level}))
}

// tested is what --json prints.
type tested struct {
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
	Files  []testedFile `json:"files"`
}

type testedFile struct {
	File  string                `json:"file"`
	Tests []pipeline.TestResult `json:"tests"`
}

// testFiles runs the tests of all files, and ends with the worst of their statuses.
func testFiles(ctx context.Context, paths []string, o pipeline.TestOptions, asJSON bool) error {
	ctx, stop := untilSignal(ctx)
	defer stop()
	all := tested{Files: []testedFile{}}
	began, worst := time.Now(), 0
	for _, path := range paths {
		file := testedFile{File: path, Tests: []pipeline.TestResult{}}
		o.Each = func(t pipeline.TestResult) {
			file.Tests = append(file.Tests, t)
			if t.OK {
				all.Passed++
			} else {
				all.Failed++
			}
			if !asJSON {
				view.Test(os.Stdout, t)
			}
		}
		code := testFile(ctx, path, o)
		all.Files = append(all.Files, file)
		worst = max(worst, code)
		if ctx.Err() != nil {
			return interrupted(ctx)
		}
	}
	if worst == 0 && all.Failed > 0 {
		worst = pipeline.ExitFailed
	}
	if asJSON {
		if err := printJSON(all); err != nil {
			return unprinted(err)
		}
	} else if all.Passed+all.Failed > 0 {
		fmt.Printf("\n%d passed, %d failed in %s\n", all.Passed, all.Failed, time.Since(began).Round(time.Millisecond))
	}
	if worst > 0 {
		return exitCode(worst)
	}
	return nil
}

// bySignal is the cause of a context that a signal has ended.
type bySignal struct{ syscall.Signal }

func (s bySignal) Error() string { return "stopped by " + s.Signal.String() }

// untilSignal is a context that SIGINT, SIGTERM or SIGHUP ends.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case s := <-signals:
			cancel(bySignal{s.(syscall.Signal)})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-watched
	}
}

// interrupted is the exit status after a signal.
func interrupted(ctx context.Context) error {
	var s bySignal
	if errors.As(context.Cause(ctx), &s) {
		return exitCode(128 + int(s.Signal))
	}
	return exitCode(pipeline.ExitFailed)
}

// testFile runs the tests of one file, and tells what keeps them from running.
func testFile(ctx context.Context, path string, o pipeline.TestOptions) (code int) {
	problems, err := pipeline.RunTests(ctx, path, o)
	problems.Format(os.Stderr, colored(os.Stderr))
	switch {
	case len(problems.Errors()) > 0:
		return pipeline.ExitConfig
	case err == nil:
		return 0
	}
	fmt.Fprintf(os.Stderr, "rpipe: %s\n", view.Message(err))
	if errors.Is(err, pipeline.ErrNoTests) {
		return pipeline.ExitConfig
	}
	return pipeline.ExitCode(nil, err)
}
