package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/stages"
)

// TestOptions are what rpipe test adds to a file.
type TestOptions struct {
	Vars map[string]string
	Run  *regexp.Regexp // names of the tests to run; nil is all
	Log  *slog.Logger   // nil discards
	Each func(TestResult)
}

// TestResult is how one test of a file went.
type TestResult struct {
	Name     string        `json:"name"`
	Line     int           `json:"line"`
	OK       bool          `json:"ok"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Failures []TestFailure `json:"failures,omitempty"`
	Notes    []string      `json:"notes,omitempty"` // of a test that failed: what else happened
}

// TestFailure is one expectation that does not hold.
type TestFailure struct {
	File      string    `json:"file"`
	Line      int       `json:"line"`
	Column    int       `json:"column"`
	Path      string    `json:"path"` // such as tests[0].expect.map.equals
	Message   string    `json:"message"`
	Rows      []RowDiff `json:"rows,omitempty"`
	Traceback []string  `json:"traceback,omitempty"` // R's calls
}

// ErrNoTests says that there is nothing to run.
var ErrNoTests = errors.New("no tests")

// RunTests runs the tests of a file one after the other, with one R pool for all
// of them, and hands each result to o.Each. The problems are those of the file.
// The error is about the file or the machine; a test that fails is none.
func RunTests(ctx context.Context, path string, o TestOptions) (configs.Problems, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f, problems := loadForTests(path, o.Vars)
	if f == nil || len(problems.Errors()) > 0 {
		return problems, nil
	}
	r := &testRunner{path: path, options: o, printed: stages.NewRelay(o.Log)}
	defer r.close()
	ran := 0
	for i, t := range f.Tests {
		if o.Run != nil && !o.Run.MatchString(t.Name) {
			continue
		}
		ran++
		result, err := r.test(ctx, i, t.Vars)
		if err != nil {
			return problems, err
		}
		o.Each(*result)
	}
	switch {
	case len(f.Tests) == 0:
		return problems, fmt.Errorf("%s: %w: there is no tests block in it", path, ErrNoTests)
	case ran == 0:
		return problems, fmt.Errorf("%s: %w: none of the %d has a name that matches %s", path, ErrNoTests, len(f.Tests), o.Run)
	}
	return problems, nil
}

// loadForTests loads a file for its tests' sake: variables without a value may
// have one in the tests.
func loadForTests(path string, vars map[string]string) (*File, configs.Problems) {
	f, problems := Load(path, vars)
	if f == nil || len(problems.Errors()) == 0 {
		return f, problems
	}
	all := map[string]string{}
	for _, t := range f.Tests {
		maps.Copy(all, t.Vars)
	}
	maps.Copy(all, vars)
	if len(all) == len(vars) {
		return f, problems
	}
	return Load(path, all)
}

// testRunner is what the tests of a file have in common.
type testRunner struct {
	path    string
	options TestOptions
	pool    *rpool.Pool // nil before the first test that needs R
	printed *stages.Relay
}

func (r *testRunner) close() {
	if r.pool != nil {
		if err := r.pool.Close(); err != nil {
			r.options.Log.Warn("the R pool did not end well", "error", err)
		}
	}
	r.printed.Close()
}

// test runs one test, on a file that is loaded with its variables.
func (r *testRunner) test(ctx context.Context, i int, vars map[string]string) (*TestResult, error) {
	all := maps.Clone(r.options.Vars)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, vars)
	f, problems := Load(r.path, all)
	if err := problems.Err(); err != nil {
		return nil, &ConfigError{File: r.path, At: f.doc.Place(fmt.Sprintf("tests[%d].vars", i)), Path: fmt.Sprintf("tests[%d].vars", i), Err: err}
	}
	t := &f.Tests[i]
	path := fmt.Sprintf("tests[%d]", i)
	result := &TestResult{Name: t.Name, Line: f.doc.Place(path).Line}
	temp := filepath.Join(os.TempDir(), "rpipe-test-"+f.RunID)
	defer os.RemoveAll(temp)
	env := &stages.Env{
		Run: f.RunID, Pipeline: f.Name, Dir: f.Dir(), Temp: temp, Parallel: runtime.GOMAXPROCS(0),
		Memory: int64(f.Memory) / 4, Log: r.options.Log, S3: f.client(), Printed: r.printed,
	}
	env = env.For("")
	defer env.Close()
	g := newTestGraph(f, t, env)
	if g.needsR() {
		if err := r.openPool(ctx, f, env); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	var failed error
	input, at, err := g.input(ctx, path)
	if err != nil {
		result.Failures = []TestFailure{f.failure(at, err.Error())}
	} else {
		failed = g.run(ctx, input)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		result.Failures = g.judge(ctx, path, failed)
	}
	result.Elapsed = time.Since(began)
	result.OK = len(result.Failures) == 0
	if !result.OK {
		result.Notes = g.notes()
	}
	return result, nil
}

// openPool starts R, once, and makes it load what the file says.
func (r *testRunner) openPool(ctx context.Context, f *File, env *stages.Env) error {
	if r.pool == nil {
		var err error
		if r.pool, err = rpool.New(f.poolOptions(r.options.Log, r.printed)); err != nil {
			return &EnvironmentError{Err: err}
		}
	}
	env.Pool, env.R = r.pool, f.Environment()
	if err := r.pool.Warm(ctx, env.R, 1); err != nil {
		return rError(f, err)
	}
	return nil
}

// input is the rows that go in.
func (g *testGraph) input(ctx context.Context, path string) (_ []frame.Frame, at string, err error) {
	for label, rows := range g.test.Input {
		at = keyPath(path+".input", label)
		frames, err := rows.frames(ctx, g.env.For(label), g.file.typeHints(g.from))
		return frames, at, err
	}
	return nil, path, errors.New("there is no input")
}

// failure places what is wrong.
func (f *File) failure(path, message string) TestFailure {
	at := f.doc.Place(path)
	return TestFailure{File: f.Path, Line: at.Line, Column: at.Column, Path: path, Message: message}
}

// notes tell of rows that were given up, which may be why a test failed.
func (g *testGraph) notes() (notes []string) {
	for _, label := range sortedNames(g.rejected) {
		fates := []struct {
			what  string
			rows  int64
			cause error
		}{{what: "in the dead letter"}, {what: "dropped"}}
		for _, r := range g.rejected[label] {
			fate := &fates[0]
			if r.Drop {
				fate = &fates[1]
			}
			fate.rows += r.Frame.NumRows()
			fate.cause = r.Err
		}
		for _, f := range fates {
			if f.rows > 0 {
				notes = append(notes, fmt.Sprintf("%s: %s %s: %s", label, plural(int(f.rows), "row"), f.what, firstLine(f.cause)))
			}
		}
	}
	return notes
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
