package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// script is a source of reads of ten rows, numbered through, at each of which
// something may happen. With commit.rows: 10 each read is an epoch, and at read n
// all epochs up to n-2 are on record.
type script struct {
	reads int
	at    map[int]func(ctx context.Context) error // before the n-th read, from 1
}

type scriptReader struct {
	*script
	done int
}

func (s *script) Open(_ context.Context, _ *stages.Env, from string) (sources.Reader, error) {
	done := 0
	if from != "" {
		var err error
		if done, err = strconv.Atoi(from); err != nil {
			return nil, err
		}
	}
	return &scriptReader{s, done}, nil
}

func (r *scriptReader) Schema() *frame.Schema { return one }
func (r *scriptReader) Size() sources.Size    { return sources.Size{} }
func (r *scriptReader) Close() error          { return nil }
func (r *scriptReader) Traits() sources.Traits {
	return sources.Traits{Ordered: true, Replayable: true}
}

func (r *scriptReader) Next(ctx context.Context) (*sources.Read, error) {
	if do := r.at[r.done+1]; do != nil {
		if err := do(ctx); err != nil {
			return nil, err
		}
	}
	if r.done == r.reads {
		return nil, io.EOF
	}
	b := frame.NewBuilderSize(one, 10)
	for i := range 10 {
		b.Column(0).AppendInt64(int64(10*r.done + i))
	}
	f, err := b.Frame()
	r.done++
	return &sources.Read{Frame: f, Pos: strconv.Itoa(r.done)}, err
}

var errDied = errors.New("the source died")

func die(context.Context) error { return errDied }

// begun loads the pipeline in dir, for a run that goes on if there is one to go
// on with, and gives it the source.
func begun(t *testing.T, dir, yaml string, s *script) *File {
	t.Helper()
	path := filepath.Join(dir, "p.yaml")
	text := "version: 1\nsource: {range: {rows: 1}}\ncommit: {rows: 10, every: 1h}\n" + yaml
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	f, problems, err := LoadToResume(t.Context(), path, nil)
	if len(problems.Errors()) > 0 || err != nil {
		t.Fatal(problems, err)
	}
	f.Source.Use = s
	return f
}

func runToEnd(t *testing.T, f *File, o Options) error {
	t.Helper()
	r, err := Start(t.Context(), f, o)
	if err != nil {
		return err
	}
	_, err = r.Wait()
	return err
}

// numbersIn counts how often each number is in the CSV files of a directory.
func numbersIn(t *testing.T, dir string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Fields(string(b))[1:] {
			counts[line]++
		}
	}
	return counts
}

func checkNumbers(t *testing.T, dir string, n int) {
	t.Helper()
	counts := numbersIn(t, dir)
	for i := range n {
		if c := counts[strconv.Itoa(i)]; c != 1 {
			t.Errorf("%d is in %s %d times", i, filepath.Base(dir), c)
		}
	}
	if len(counts) != n {
		t.Errorf("%d numbers in %s, want %d", len(counts), filepath.Base(dir), n)
	}
}

const twoSinks = "sinks: [{csv: {path: a}}, {csv: {path: b}}]\n"

func TestAResumeThatCannotBeginKeepsWhatIsOnRecord(t *testing.T) {
	dir := t.TempDir()
	if err := runToEnd(t, begun(t, dir, twoSinks, &script{reads: 6, at: map[int]func(context.Context) error{5: die}}), Options{}); !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	b := filepath.Join(dir, "b")
	if err := errors.Join(os.Rename(b, b+".away"), os.WriteFile(b, nil, 0o666)); err != nil {
		t.Fatal(err)
	}
	whole := &script{reads: 6}
	if err := runToEnd(t, begun(t, dir, twoSinks, whole), Options{Resume: true}); err == nil {
		t.Fatal("a file was taken for a directory")
	}
	if err := errors.Join(os.Remove(b), os.Rename(b+".away", b)); err != nil {
		t.Fatal(err)
	}
	if err := runToEnd(t, begun(t, dir, twoSinks, whole), Options{Resume: true}); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, filepath.Join(dir, "a"), 60)
	checkNumbers(t, b, 60)
}

// TestARecordOfAnotherVersion is not given up, by --fresh neither: its error says what helps.
func TestARecordOfAnotherVersion(t *testing.T) {
	dir := t.TempDir()
	whole := &script{reads: 6}
	f := begun(t, dir, twoSinks, whole)
	record := filepath.Join(dir, ".rpipe", "p", "journal.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(record), 0o700), os.WriteFile(record, []byte(`{"version": 2}`), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := runToEnd(t, f, Options{Fresh: true}); err == nil || !strings.Contains(err.Error(), record+" has version 2") || !strings.Contains(err.Error(), "or move it away") {
		t.Fatalf("got %v", err)
	}
	if err := os.Rename(record, record+".away"); err != nil {
		t.Fatal(err)
	}
	if err := runToEnd(t, begun(t, dir, twoSinks, whole), Options{}); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, filepath.Join(dir, "a"), 60)
}

// passing needs its whole input, and sends on what it has before it has all.
type passing struct{ stages.Filter }

func (*passing) Blocks() bool { return true }

func (*passing) Plan(in *frame.Schema) (*frame.Schema, error) { return in, nil }

func (*passing) Build(env *stages.Env) (stages.Stage[frame.Frame, frame.Frame], error) {
	return stages.Whole(env, func(ctx context.Context, next func(context.Context) (frame.Frame, error), emit func(frame.Frame) error) error {
		for {
			f, err := next(ctx)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = emit(f)
			}
			if err != nil {
				return err
			}
		}
	}), nil
}

func TestWhatABlockingStageSentOnBeforeADrainComesOnce(t *testing.T) {
	dir := t.TempDir()
	const yaml = "stages: [{filter: {where: x >= 0}}]\nsink: {csv: {path: out}}\n"
	var r *Run
	started := make(chan struct{})
	s := &script{reads: 6, at: map[int]func(context.Context) error{4: func(ctx context.Context) error {
		<-started
		r.Drain()
		<-ctx.Done()
		return context.Cause(ctx)
	}}}
	f := begun(t, dir, yaml, s)
	f.Stages[0].Use = &passing{}
	var err error
	if r, err = Start(t.Context(), f, Options{}); err != nil {
		t.Fatal(err)
	}
	close(started)
	if _, err := r.Wait(); !errors.Is(err, errUnfinished) {
		t.Fatal(err)
	}
	if n := len(numbersIn(t, filepath.Join(dir, "out"))); n > 0 {
		t.Fatalf("%d rows are published", n)
	}
	f = begun(t, dir, yaml, &script{reads: 6})
	f.Stages[0].Use = &passing{}
	if err := runToEnd(t, f, Options{Resume: true}); err != nil {
		t.Fatal(err)
	}
	checkNumbers(t, filepath.Join(dir, "out"), 60)
}

func TestAnOutputThatIsCommittedWithAnErrorDoesNotTakeTheOthersAlong(t *testing.T) {
	dir := t.TempDir()
	f := begun(t, dir, twoSinks, &script{reads: 2})
	fail := func(name string) error {
		if name == "finished" {
			return fmt.Errorf("%w, and the old files could not be deleted", sinks.ErrCommitted)
		}
		return nil
	}
	for i := range f.Sinks {
		f.Sinks[i].Use = hooked{f.Sinks[i].Use, fail}
	}
	if err := runToEnd(t, f, Options{}); !errors.Is(err, sinks.ErrCommitted) {
		t.Fatal(err)
	}
	checkNumbers(t, filepath.Join(dir, "a"), 20)
	checkNumbers(t, filepath.Join(dir, "b"), 20)
}

// preparing is a sink of files that calls before each Prepare.
type preparing struct {
	sinks.Sink
	before func() error
}

func (preparing) OneEpoch() bool { return false }

type preparingWriter struct {
	sinks.Writer
	sinks.Resumer
	before func() error
}

func (p preparing) Open(ctx context.Context, env *stages.Env) (sinks.Writer, error) {
	w, err := p.Sink.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	return preparingWriter{w, w.(sinks.Resumer), p.before}, nil
}

func (w preparingWriter) Prepare(ctx context.Context, epoch uint64) ([]sinks.Part, error) {
	if err := w.before(); err != nil {
		return nil, err
	}
	return w.Writer.Prepare(ctx, epoch)
}

func TestACommitThatFailsWhenTheRowsAreThroughEndsTheRun(t *testing.T) {
	dir := t.TempDir()
	f := begun(t, dir, "sink: {csv: {path: out}}\n", &script{reads: 1})
	errDisk := errors.New("the disk is gone")
	started, through := make(chan struct{}), make(chan struct{})
	failed := false
	f.Sink.Use = preparing{f.Sink.Use, func() error {
		<-started
		<-through
		if failed {
			return nil
		}
		failed = true
		return errDisk
	}}
	r, err := Start(t.Context(), f, Options{})
	if err != nil {
		t.Fatal(err)
	}
	close(started)
	if err := r.graph.Wait(); err != nil {
		t.Fatal(err)
	}
	close(through)
	if _, err := r.Wait(); !errors.Is(err, errDisk) {
		t.Errorf("the run ended with %v", err)
	}
	if n := len(numbersIn(t, filepath.Join(dir, "out"))); n > 0 {
		t.Errorf("%d rows are published", n)
	}
}

func TestTheRecordOfAStoppedRunStaysUntilAnotherHasBegun(t *testing.T) {
	dir := t.TempDir()
	const yaml = "sink: {csv: {path: out}}\n"
	f := begun(t, dir, yaml, nil)
	state, err := f.State()
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Commit(t.Context(), &journal.Journal{Run: "before", Phase: journal.Stopped}); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if err := os.WriteFile(out, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	plain := func() error {
		f, problems := Load(filepath.Join(dir, "p.yaml"), nil)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		f.Source.Use = &script{reads: 1}
		return runToEnd(t, f, Options{})
	}
	if err := plain(); err == nil {
		t.Fatal("a file was taken for a directory")
	}
	if j, err := state.Journal(t.Context()); err != nil || j == nil || j.Run != "before" {
		t.Fatalf("a run that could not begin has left %+v, %v", j, err)
	}
	if err := os.Remove(out); err != nil {
		t.Fatal(err)
	}
	if err := plain(); err != nil {
		t.Fatal(err)
	}
	if j, err := state.Journal(t.Context()); err != nil || j != nil {
		t.Fatalf("%+v, %v", j, err)
	}
}
