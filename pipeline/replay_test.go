package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// branched has a stage that fails in the trunk and one in a branch.
const branched = `version: 1
source: {rows: [{id: 1, a: "1", b: "1"}, {id: 2, a: x, b: "2"}, {id: 3, a: "3", b: x}, {id: 4, a: "4", b: x}]}
stages:
  - name: trunk
    derive: {n: "${a:CAST(a AS INTEGER)}", on_error: dead_letter}
sinks:
  - name: odd
    when: "id % 2 = 1"
    stages: [{name: twig, derive: {m: "${b:CAST(b AS INTEGER)}", on_error: dead_letter}}, {select: [id, m]}]
    csv: {path: odd, if_exists: replace}
  - {name: all, csv: {path: all}}
dead_letter: {path: dead}
`

func replayed(t *testing.T, dir string, vars map[string]string, filter DeadFilter) (reports []*Report) {
	t.Helper()
	load := func() *File {
		f, problems := Load(filepath.Join(dir, "p.yaml"), vars)
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		return f
	}
	replays, err := load().Replays(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range replays {
		f, err := load().ForReplay(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		run, err := Start(t.Context(), f, Options{})
		if err != nil {
			t.Fatal(err)
		}
		report, err := run.Wait()
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, report)
	}
	return reports
}

// lines are those of all CSV files in a directory, without headers.
func lines(t *testing.T, dir string) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Split(strings.TrimSpace(string(b)), "\n")[1:]...)
	}
	return all
}

// TestReplayEntersWhereRowsFailed: in the trunk they reach all sinks that they
// belong to, in a branch just the one, and if_exists: replace replaces nothing.
func TestReplayEntersWhereRowsFailed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(branched), 0o666); err != nil {
		t.Fatal(err)
	}
	f, problems := Load(filepath.Join(dir, "p.yaml"), nil)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	r, err := Start(t.Context(), f, Options{})
	if err == nil {
		_, err = r.Wait()
	}
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, odd, all int, dead int64) {
		t.Helper()
		d, err := f.DeadLetters(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var rows int64
		if err := d.Each(t.Context(), DeadFilter{}, false, func(*DeadRow) error { rows++; return nil }); err != nil {
			t.Fatal(err)
		}
		if o, a := lines(t, filepath.Join(dir, "odd")), lines(t, filepath.Join(dir, "all")); len(o) != odd || len(a) != all || rows != dead {
			t.Errorf("%s: odd has %v, all has %v, %d rows are in the dead letter", what, o, a, rows)
		}
	}
	check("after the run", 1, 3, 2)

	reports := replayed(t, dir, map[string]string{"b": "9"}, DeadFilter{Stage: "twig"})
	if len(reports) != 1 || len(reports[0].Outputs) != 1 || reports[0].Outputs[0].Sink != "odd" {
		t.Errorf("a replay in a branch: %+v", reports)
	}
	check("after a replay in the branch", 2, 3, 1)

	replayed(t, dir, map[string]string{"a": "7"}, DeadFilter{})
	check("after a replay in the trunk", 2, 4, 0)
	if _, err := os.Stat(filepath.Join(dir, ".rpipe")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a record is left: %v", err)
	}
}

// failing is a sink of files one step of which fails.
type failing struct {
	sinks.Sink
	step string
	err  error
}

type failingWriter struct {
	sinks.Writer
	sinks.Resumer
	failing failing
}

func (f failing) Open(ctx context.Context, env *stages.Env) (sinks.Writer, error) {
	w, err := f.Sink.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	return failingWriter{w, w.(sinks.Resumer), f}, nil
}

func (w failingWriter) at(step string) error {
	if step == w.failing.step {
		return w.failing.err
	}
	return nil
}

func (w failingWriter) Prepare(ctx context.Context, epoch uint64) ([]sinks.Part, error) {
	parts, err := w.Writer.Prepare(ctx, epoch)
	return parts, errors.Join(err, w.at("prepare"))
}

func (w failingWriter) Publish(ctx context.Context, parts []sinks.Part) error {
	return errors.Join(w.Writer.Publish(ctx, parts), w.at("publish"))
}

func (w failingWriter) Finish(ctx context.Context, complete bool) error {
	if err := w.at("finish"); err != nil {
		return err
	}
	return w.Writer.Finish(ctx, complete)
}

// TestReplayCommits: whichever step of a replay fails, its rows are in the dead
// letter, or on record for the next one to go on with.
func TestReplayCommits(t *testing.T) {
	full := errors.New("disk full")
	f := func(step string, onRecord bool) {
		t.Helper()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(branched), 0o666); err != nil {
			t.Fatal(err)
		}
		load := func(vars map[string]string) *File {
			g, problems := Load(filepath.Join(dir, "p.yaml"), vars)
			if err := problems.Err(); err != nil {
				t.Fatal(err)
			}
			return g
		}
		run := func(g *File, o Options) error {
			r, err := Start(t.Context(), g, o)
			if err == nil {
				_, err = r.Wait()
			}
			return err
		}
		if err := run(load(nil), Options{}); err != nil {
			t.Fatal(err)
		}
		vars := map[string]string{"a": "7"}
		replays, err := load(vars).Replays(t.Context(), DeadFilter{Stage: "trunk"})
		if err != nil || len(replays) != 1 {
			t.Fatal(replays, err)
		}
		g, err := load(vars).ForReplay(t.Context(), replays[0])
		if err != nil {
			t.Fatal(err)
		}
		g.Sinks[1].Use = failing{g.Sinks[1].Use, step, full}
		if err := run(g, Options{}); !errors.Is(err, full) || errors.Is(err, sinks.ErrCommitted) {
			t.Errorf("%s: %v", step, err)
		} else if onRecord != strings.Contains(err.Error(), "rpipe dlq replay goes on") {
			t.Errorf("%s: on record %v: %v", step, onRecord, err)
		}
		again, _, err := LoadUnfinishedReplay(t.Context(), filepath.Join(dir, "p.yaml"), vars)
		if err != nil || (again != nil) != onRecord {
			t.Fatalf("%s: unfinished %v, %v", step, again, err)
		}
		if onRecord {
			var unfinished *UnfinishedReplayError
			if err := run(load(map[string]string{"a": "7"}), Options{}); !errors.As(err, &unfinished) {
				t.Errorf("%s: a run beside it: %v", step, err)
			}
			if err := run(again, Options{Resume: true}); err != nil {
				t.Errorf("%s: to go on: %v", step, err)
			}
		} else if rs := replayed(t, dir, vars, DeadFilter{Stage: "trunk"}); len(rs) != 1 {
			t.Errorf("%s: %d replays", step, len(rs))
		}
		if all := lines(t, filepath.Join(dir, "all")); len(all) != 4 {
			t.Errorf("%s: in the end the output has %v", step, all)
		}
	}
	f("prepare", false)
	f("publish", true)
	f("finish", true)
}
