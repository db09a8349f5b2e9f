//go:build cgo

package compact

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
)

// Sorted rows are the same rows, of the same types, in the order asked for,
// within each directory and over all its files.
func TestSort(t *testing.T) {
	f := func(sort string, less func(a, b frame.Frame, i, k int) bool, partitionBy ...string) {
		t.Helper()
		env := testEnv(t, "run-1")
		small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: partitionBy}}, 12, 300)
		before := read(t, env, "out")
		o := options(env, "out")
		o.Sort = strings.Split(sort, ",")
		o.TargetSize, o.RowGroup.Rows = 64<<10, 400
		r := compacted(t, o)
		if r.Written < 2 {
			t.Errorf("%+v", r)
		}
		after, err := readAll(t.Context(), env, "out")
		if err != nil {
			t.Fatal(err)
		}
		if d := frame.Diff(before, byID(t, after)); d != "" {
			t.Errorf("%s: %s", sort, d)
		}
		dirs := map[string][]string{}
		for _, p := range parquets(t, filepath.Join(env.Dir, "out")) {
			dirs[filepath.Dir(p)] = append(dirs[filepath.Dir(p)], p)
		}
		for dir, files := range dirs {
			one := testEnv(t, "x")
			one.Dir = filepath.Join(env.Dir, "out")
			rows, err := readFiles(t.Context(), one, files)
			if err != nil {
				t.Fatal(err)
			}
			for i := 1; i < int(rows.NumRows()); i++ {
				if less(rows, rows, i, i-1) {
					t.Fatalf("%s: directory %s: row %d comes after row %d", sort, dir, i, i-1)
				}
			}
		}
	}
	id := func(f frame.Frame, i int) int64 { return column64(f, "id").Value(i) }
	f("-id", func(a, b frame.Frame, i, k int) bool { return id(a, i) > id(b, k) })
	f("id", func(a, b frame.Frame, i, k int) bool { return id(a, i) < id(b, k) }, "day")
	f("s,-id", func(a, b frame.Frame, i, k int) bool {
		x, _, _ := frame.Lookup(a, "s")
		switch null := x.IsNull(i); {
		case null != x.IsNull(k):
			return !null // missing values come last
		case null || x.ValueStr(i) == x.ValueStr(k):
			return id(a, i) > id(b, k)
		}
		return x.ValueStr(i) < x.ValueStr(k)
	}, "day")
}

func column64(f frame.Frame, name string) *array.Int64 {
	a, _, _ := frame.Lookup(f, name)
	return a.(*array.Int64)
}

// The columns of a directory are the same in all its rows: sorting by them is
// no work, and no error.
func TestSortByPartition(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 3, 30)
	before := read(t, env, "out")
	o := options(env, "out")
	o.Sort = []string{"day"}
	compacted(t, o)
	if d := frame.Diff(before, read(t, env, "out")); d != "" {
		t.Error(d)
	}
}

// A column may be called like SQL, or begin with a dash.
func TestSortByOddNames(t *testing.T) {
	s := columns(t, "id int64", "x double")
	fields := s.Fields()
	fields[1].Name = `-sel"ect`
	s = arrow.NewSchema(fields, nil)
	env := testEnv(t, "run-1")
	write(t, env, "run-1", sinks.Parquet{Path: "out"}, rowsOf(t, s, []string{"1", "3"}), rowsOf(t, s, []string{"2", "1"}, []string{"3", "2"}))
	for sort, want := range map[string][]int64{`-sel"ect`: {2, 3, 1}, `--sel"ect`: {1, 3, 2}} {
		o := options(env, "out")
		o.Run, o.To, o.Sort = "compact-1", "new", []string{sort}
		o.Replace = true
		compacted(t, o)
		f, err := readAll(t.Context(), env, "new")
		if err != nil {
			t.Fatal(err)
		}
		if got := ids(t, f); !slices.Equal(got, want) {
			t.Errorf("%s: %v", sort, got)
		}
	}
}
