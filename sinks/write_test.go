package sinks

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// rows makes a batch of n rows, numbered from first: id int64, name string (NA
// each third), part string of three values, score double.
func rows(epoch uint64, first, n int) *stages.Rows {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "name", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "part", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
	}, nil)
	b := frame.NewBuilder(s)
	for i := first; i < first+n; i++ {
		b.Column(0).AppendInt64(int64(i))
		if i%3 == 0 {
			b.Column(1).AppendNull()
		} else {
			b.Column(1).AppendString("name " + string(rune('a'+i%26)))
		}
		b.Column(2).AppendString([]string{"x", "y/z", "é"}[i%3])
		b.Column(3).AppendDouble(float64(i) / 2)
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return &stages.Rows{Value: f, Rows: n, Epoch: epoch}
}

func testEnv(t testing.TB, run string) *stages.Env {
	return &stages.Env{Run: run, Pipeline: "test", Dir: t.TempDir(), Parallel: 2}
}

// commit runs the whole protocol over batches of one epoch.
func commit(t testing.TB, s Sink, env *stages.Env, batches ...*stages.Rows) []Part {
	t.Helper()
	ctx := context.Background()
	w, err := s.Open(ctx, env)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range batches {
		if err := w.Write(ctx, b); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := w.Prepare(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Publish(ctx, parts); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(ctx, true); err != nil {
		t.Fatal(err)
	}
	return parts
}

// tree lists the files under dir, relative and sorted; hidden ones too.
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
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return found
}

// visible leaves out what readers ignore.
func visible(t testing.TB, dir string) []string {
	return slices.DeleteFunc(tree(t, dir), func(path string) bool {
		return strings.ContainsAny(path[:1], "._") || strings.Contains(path, "/.") || strings.Contains(path, "/_")
	})
}

func open(t testing.TB, s Sink, env *stages.Env) Writer {
	t.Helper()
	w, err := s.Open(context.Background(), env)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Abort() })
	return w
}

func must[T any](v T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// noise is a batch of two columns that do not compress.
func noise(t testing.TB, first, n int) *stages.Rows {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{
		{Name: "x", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "y", Type: arrow.BinaryTypes.String, Nullable: true},
	}, nil)
	b, r := frame.NewBuilder(s), rand.New(rand.NewPCG(1, uint64(first)))
	for range n {
		b.Column(0).AppendDouble(r.NormFloat64())
		b.Column(1).AppendString(strconv.FormatUint(r.Uint64(), 36))
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return &stages.Rows{Value: f, Rows: n}
}

func rowsOf(f frame.Frame) *stages.Rows {
	return &stages.Rows{Value: f, Rows: int(f.NumRows())}
}

// onDisk is the directory that a writer writes to.
func onDisk(w Writer) *directory { return w.(*fileWriter).out.place.(*directory) }

// unsynced spares tests of volume the wait for the disk.
type unsynced struct{ storage }

func (unsynced) Sync() error { return nil }

func createUnsynced(path string) (storage, error) {
	f, err := createFile(path)
	return unsynced{f}, err
}
