package compact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// columns makes a schema of "name type" texts.
func columns(t testing.TB, texts ...string) *frame.Schema {
	t.Helper()
	fields := make([]arrow.Field, len(texts))
	for i, text := range texts {
		name, kind, _ := strings.Cut(text, " ")
		f, err := frame.ParseType(kind)
		if err != nil {
			t.Fatal(err)
		}
		f.Name = name
		if frame.KindOf(f) == frame.KindFactor {
			meta := f.Metadata.ToMap()
			meta[frame.MetaLevels] = `["low","mid","high","none of the rows has it"]`
			f.Metadata = arrow.MetadataFrom(meta)
		}
		fields[i] = f
	}
	return arrow.NewSchema(fields, nil)
}

// everything has a column of each type; id numbers the rows.
func everything(t testing.TB) *frame.Schema {
	return columns(t, "id int64", "day date", "b bool", "i int32", "x double", "s string", "f factor", "o ordered",
		"at timestamp[Europe/Berlin]", "naive timestamp", "span difftime[mins]", "clock hms", "raw binary", "doc json", "many list<double>")
}

// randomRows makes rows first, first+1, … of a schema; a value of five is missing.
// Values depend on the row alone.
func randomRows(t testing.TB, s *frame.Schema, first, n int) frame.Frame {
	t.Helper()
	b := frame.NewBuilderSize(s, n)
	for row := first; row < first+n; row++ {
		r := rand.New(rand.NewPCG(uint64(row), 1))
		for k, f := range s.Fields() {
			c := b.Column(k)
			switch {
			case f.Name == "id":
				c.AppendInt64(int64(row))
			case f.Name == "day":
				c.AppendInt32(int32(20000 + row%3))
			case r.IntN(5) == 0:
				c.AppendNull()
			default:
				appendRandom(c, frame.KindOf(f), r)
			}
		}
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func appendRandom(c *frame.Column, kind frame.Kind, r *rand.Rand) {
	switch kind {
	case frame.KindBool:
		c.AppendBool(r.IntN(2) == 0)
	case frame.KindInt32, frame.KindDate:
		c.AppendInt32(int32(r.IntN(1000)))
	case frame.KindInt64, frame.KindTimestamp, frame.KindDatetime:
		c.AppendInt64(r.Int64N(1 << 50))
	case frame.KindDouble, frame.KindDifftime:
		c.AppendDouble(r.NormFloat64())
	case frame.KindFactor:
		c.AppendString([]string{"low", "mid", "high"}[r.IntN(3)])
	case frame.KindJSON:
		c.AppendString(fmt.Sprintf(`{"n": %d}`, r.IntN(100)))
	case frame.KindList:
		for range r.IntN(3) {
			c.Child().AppendDouble(r.Float64())
		}
		c.AppendList()
	default:
		c.AppendString(fmt.Sprintf("é%d", r.IntN(1000)))
	}
}

func testEnv(t testing.TB, run string) *stages.Env {
	t.Helper()
	return &stages.Env{Run: run, Pipeline: "test", Dir: t.TempDir(), Parallel: 2}
}

// write writes frames to an output, a file each, as a run of their own.
func write(t testing.TB, env *stages.Env, run string, sink sinks.Parquet, frames ...frame.Frame) {
	t.Helper()
	ctx := t.Context()
	e := *env
	e.Run = run
	w, err := sink.Open(ctx, &e)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range frames {
		epoch := uint64(i + 1)
		if err := w.Write(ctx, &stages.Rows{Value: f, Rows: int(f.NumRows()), Epoch: epoch}); err != nil {
			t.Fatal(err)
		}
		parts, err := w.Prepare(ctx, epoch)
		if err == nil {
			err = w.Publish(ctx, parts)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(ctx, true); err != nil {
		t.Fatal(err)
	}
}

// small writes n files of each rows.
func small(t testing.TB, env *stages.Env, sink sinks.Parquet, n, each int) {
	t.Helper()
	var frames []frame.Frame
	for i := range n {
		frames = append(frames, randomRows(t, everything(t), i*each, each))
	}
	write(t, env, "run-1", sink, frames...)
}

// read reads an output as rpipe does, by its manifest, in the order of column id.
func read(t testing.TB, env *stages.Env, path string) frame.Frame {
	t.Helper()
	f, err := readAll(t.Context(), env, path)
	if err != nil {
		t.Fatal(err)
	}
	return byID(t, f)
}

func readAll(ctx context.Context, env *stages.Env, path string) (frame.Frame, error) {
	return readFiles(ctx, env, []string{path})
}

func readFiles(ctx context.Context, env *stages.Env, paths []string) (_ frame.Frame, err error) {
	r, err := (&sources.Parquet{Path: paths}).Open(ctx, env, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	all := []frame.Frame{frame.Empty(r.Schema())}
	for {
		read, err := r.Next(ctx)
		if err == io.EOF {
			return frame.Concat(all...)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, read.Frame)
	}
}

func ids(t testing.TB, f frame.Frame) []int64 {
	t.Helper()
	a, _, ok := frame.Lookup(f, "id")
	if !ok {
		t.Fatal("no column id")
	}
	return a.(interface{ Int64Values() []int64 }).Int64Values()
}

func byID(t testing.TB, f frame.Frame) frame.Frame {
	t.Helper()
	order := make([]int32, f.NumRows())
	for i := range order {
		order[i] = int32(i)
	}
	id := ids(t, f)
	slices.SortFunc(order, func(a, b int32) int { return int(id[a] - id[b]) })
	f, err := frame.Take(f, order)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// tree lists the files below dir, hidden ones too.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			found = append(found, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// parquets are the Parquet files that a lister finds.
func parquets(t testing.TB, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(tree(t, dir), func(p string) bool { return !strings.HasSuffix(p, ".parquet") })
}

func manifestOf(t testing.TB, dir string) *manifest {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "_manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := new(manifest)
	if err := json.Unmarshal(b, m); err != nil {
		t.Fatal(err)
	}
	return m
}

// options compact path in place.
func options(env *stages.Env, path string) Options {
	return Options{Env: env, Run: "compact-1", Path: path}
}

func compacted(t testing.TB, o Options) *Report {
	t.Helper()
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// join makes one output of the outputs part1, part2, … beside dir.
func join(t testing.TB, dir string, n int) {
	t.Helper()
	var all *manifest
	for i := 1; i <= n; i++ {
		part := filepath.Join(filepath.Dir(dir), fmt.Sprint("part", i))
		m := manifestOf(t, part)
		if all == nil {
			all = m
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		} else {
			all.Files = append(all.Files, m.Files...)
			all.Rows, all.Bytes = all.Rows+m.Rows, all.Bytes+m.Bytes
		}
		for _, f := range m.Files {
			if err := os.Rename(filepath.Join(part, f.Path), filepath.Join(dir, f.Path)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.RemoveAll(part); err != nil {
			t.Fatal(err)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "_manifest.json"), b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// manifestRetired are the files that the manifest retires.
func manifestRetired(t testing.TB, dir string) []any {
	t.Helper()
	m := manifestFields(t, dir)
	retired, _ := m["retired"].([]any)
	return retired
}

func manifestFields(t testing.TB, dir string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "_manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// expire lets the time of retired files come.
func expire(t testing.TB, dir string, paths []string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "_manifest.json"), expired(t, dir, paths), 0o644); err != nil {
		t.Fatal(err)
	}
}

// expired is the manifest with that.
func expired(t testing.TB, dir string, paths []string) []byte {
	t.Helper()
	m := manifestFields(t, dir)
	for _, r := range m["retired"].([]any) {
		f := r.(map[string]any)
		if slices.Contains(paths, f["path"].(string)) {
			f["until"] = "2020-01-01T00:00:00Z"
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
