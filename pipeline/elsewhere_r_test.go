//go:build cgo && unix

package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/server"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/client"
)

// taskServer starts one with two R processes, and is a client of it.
func taskServer(t *testing.T) *client.Client {
	t.Helper()
	dir := t.TempDir()
	f := server.Defaults()
	f.Data, f.Tokens, f.Listen.Address = dir+"/data", dir+"/tokens.json", "127.0.0.1:0"
	f.Durability, f.Log.Access = "interval:200ms", "off"
	f.Workers.Max, f.Workers.Queues = 2, []string{"default", "far"}
	f.R.Env = nil
	log := slog.New(slog.DiscardHandler)
	if os.Getenv("RPIPE_TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	s, err := server.Start(context.WithoutCancel(t.Context()), f, server.Options{Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c, err := client.New(client.Options{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// farModel is what the maps of these tests call.
const farModel = `
scale <- 3
both <- function(d, by = 1) { message("got ", nrow(d)); if (d$i[1] == 21) warning("odd"); d$y <- d$i * by * scale; d$w <- paste0(d$word, "!"); d$n <- rnorm(nrow(d)); d }
fussy <- function(d) { inner <- function(x) if (any(x == 25)) stop("no 25 please"); inner(d$i); d$y <- d$i; d }
slow <- function(d) { if (d$i[1] == 21) Sys.sleep(600); d }
dies <- function(d, marks) { f <- file.path(marks, d$i[1]); if (d$i[1] == 21 && !file.exists(f)) { file.create(f); tools::pskill(Sys.getpid(), 9) }; d }
wrong <- function(d) 1:3
`

// farFile writes a pipeline over 60 rows in batches of 10, with this map, which may say
// MARKS for a directory of its own.
func farFile(t *testing.T, dir, name, mapped, more string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name+".yaml")
	mapped = strings.ReplaceAll(mapped, "MARKS", t.TempDir())
	text := fmt.Sprintf(`
version: 1
r: {source: [model.R], packages: [stats], options: {digits: "4"}}
source: {range: {from: 1, to: 60, column: i}}
stages:
  - derive: {word: "case when i %% 2 = 0 then 'even' else 'odd' end"}
  - batch: {rows: 10}
  - map: {%s}
sink: {csv: {path: %s-out}}
dead_letter: {path: %[2]s-dead}
%s
`, mapped, name, more)
	for path, text := range map[string]string{filepath.Join(dir, "model.R"): farModel, path: text} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// finished runs a file, and returns its output (sorted where it has no order), dead letters and error.
func finished(t *testing.T, path string, o pipeline.Options) (out, dead []string, err error) {
	t.Helper()
	f := loaded(t, path)
	run, err := pipeline.Start(t.Context(), f, o)
	if err != nil {
		return nil, nil, err
	}
	_, err = run.Wait()
	out = pipeline.ReadLines(t, strings.TrimSuffix(path, ".yaml")+"-out")
	if !f.Stages[2].Use.(*stages.Map).Ordered {
		slices.Sort(out)
	}
	return out, deadOf(t, f), err
}

func loaded(t *testing.T, path string) *pipeline.File {
	t.Helper()
	f, problems := pipeline.Load(path, nil)
	if len(problems.Errors()) > 0 {
		t.Fatal(problems)
	}
	return f
}

// deadOf are the rows of a dead letter, and why they are there.
func deadOf(t *testing.T, f *pipeline.File) (rows []string) {
	t.Helper()
	d, err := f.DeadLetters(t.Context())
	if errors.Is(err, sinks.ErrNoDeadLetter) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	err = d.Each(t.Context(), pipeline.DeadFilter{}, true, func(r *pipeline.DeadRow) error {
		rows = append(rows, fmt.Sprintf("%d %d %s %v", r.Row, r.Attempt, r.Error, r.Traceback))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestMapOnAQueueIsTheSame: what a map does here it does on the workers of a queue.
func TestMapOnAQueueIsTheSame(t *testing.T) {
	c := taskServer(t)
	t.Setenv("RPIPE_URL", c.URL())
	none := func(t *testing.T) {
		t.Helper()
		jobs, err := c.Jobs(t.Context(), client.Filter{})
		if err != nil || len(jobs.Jobs) > 0 {
			t.Errorf("%d jobs are left, %v", len(jobs.Jobs), err)
		}
	}
	dir, pool := t.TempDir(), pipeline.NewWorkers(t, rpool.Options{Max: 2})
	f := func(name, mapped, want string) {
		t.Run(name, func(t *testing.T) {
			defer none(t)
			here, deadHere, errHere := finished(t, farFile(t, dir, name+"-here", mapped, ""), pipeline.Options{Pool: pool})
			there, deadThere, errThere := finished(t, farFile(t, dir, name+"-there", mapped+", on: far", ""), pipeline.Options{})
			if diff := cmp.Diff(here, there); diff != "" {
				t.Errorf("output (-here +there):\n%s", diff)
			}
			if diff := cmp.Diff(deadHere, deadThere); diff != "" {
				t.Errorf("dead letters (-here +there):\n%s", diff)
			}
			if fmt.Sprint(errHere) != fmt.Sprint(errThere) || !strings.Contains(fmt.Sprint(errHere), want) {
				t.Errorf("error here:\n%v\nthere:\n%v\nwant …%s…", errHere, errThere, want)
			}
			if diff := cmp.Diff(pipeline.Traceback(errHere), pipeline.Traceback(errThere)); diff != "" {
				t.Errorf("traceback (-here +there):\n%s", diff)
			}
			if want == "<nil>" && len(here)+len(deadHere) != 60 {
				t.Errorf("%d rows and %d dead ones", len(here), len(deadHere))
			}
		})
	}
	f("values", "fun: both, args: {by: 2}, rows: same, seed: 7", "<nil>")
	f("unordered", "fun: both, ordered: false, seed: 1, in_flight: 1", "<nil>")
	f("package", "fun: 'utils::head', args: {n: 20}", "<nil>")
	f("error", "fun: fussy", "no 25 please")
	f("dead letters", "fun: fussy, rows: same, on_error: dead_letter", "<nil>")
	f("timeout", "fun: slow, rows: same, timeout: 4s, max_halvings: 0, on_error: dead_letter", "<nil>")
	f("death", "fun: dies, args: {marks: 'MARKS'}", "<nil>")
	f("no data.frame", "fun: wrong", "wrong() returned an integer of length 3; a map function must return a data.frame")
	f("no function", "fun: both2", "there is no function both2()")
	f("isolated", "fun: both, isolate: true, seed: 2", "<nil>")
}

// TestWhatFarWorkersSay: messages and warnings come back.
func TestWhatFarWorkersSay(t *testing.T) {
	c := taskServer(t)
	var mu sync.Mutex
	var said strings.Builder
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return said.Write(p)
	}), nil))
	path := farFile(t, t.TempDir(), "p", "fun: both, on: far", "tasks: {url: '"+c.URL()+"'}")
	if _, _, err := finished(t, path, pipeline.Options{Log: log}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"got 10", "odd"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, said.String())
		}
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestAStoppedRunLeavesNoTasks: those that run or wait are cancelled.
func TestAStoppedRunLeavesNoTasks(t *testing.T) {
	c := taskServer(t)
	f := loaded(t, farFile(t, t.TempDir(), "p", "fun: slow, on: far", "tasks: {url: '"+c.URL()+"'}"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	run, err := pipeline.Start(ctx, f, pipeline.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// the batch that sleeps is the only one left
	events, stop := context.WithCancel(t.Context())
	defer stop()
	err = c.Events(events, "queues/far", func(*api.Event) error {
		n, err := c.Counts(t.Context(), client.Filter{})
		if err == nil && n.States["RUNNING"] == 1 && n.Total-n.States["COMPLETE"] == 1 {
			stop()
		}
		return err
	})
	if events.Err() == nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := run.Wait(); !errors.Is(err, context.Canceled) {
		t.Errorf("the run ended with %v", err)
	}
	n, err := c.Counts(t.Context(), client.Filter{})
	if err != nil || n.States["RUNNING"]+n.States["PENDING"] > 0 {
		t.Errorf("tasks are left: %v, %v", n, err)
	}
}

func TestQueuesAreChecked(t *testing.T) {
	f := func(mapped, more, want string) {
		t.Helper()
		_, problems := pipeline.Check(t.Context(), farFile(t, t.TempDir(), "p", mapped, more), nil)
		if all := fmt.Sprint(problems); want == "" && all != "" || !strings.Contains(all, want) {
			t.Errorf("map: {%s} %s: %s\nwant …%s…", mapped, more, all, want)
		}
	}
	f("fun: both, on: 'a b'", "", `"a b" cannot be the name of a queue`)
	f("fun: both, on: far", "tasks: {dir: data}", "is relative, and the workers are on other machines")
	f("fun: both", "tasks: {url: 'http://x'}", "tasks: does nothing: no map says on: a queue")
	f("fun: both, on: far", "", "")

	file := loaded(t, farFile(t, t.TempDir(), "p", "fun: both, on: far", "tasks: {url: 'http://127.0.0.1:1'}"))
	plan, _ := file.Plan(t.Context())
	if plan.Workers != 0 || len(plan.Queues) != 1 || plan.Queues[0] != "far" {
		t.Errorf("the plan has %d workers, and queues %v", plan.Workers, plan.Queues)
	}
	if problems := file.CheckService(); !strings.Contains(fmt.Sprint(problems), "is for runs") {
		t.Errorf("as a service: %v", problems)
	}
}
