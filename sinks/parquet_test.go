package sinks

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

func openParquet(t testing.TB, path string) *parquet.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parquet.OpenFile(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestParquetMetadata(t *testing.T) {
	env := testEnv(t, "r1")
	commit(t, &Parquet{Path: "x.parquet"}, env, &stages.Rows{Value: allTypes(t), Rows: 5})
	text, ok := openParquet(t, filepath.Join(env.Dir, "x.parquet")).Lookup(MetadataKey)
	if !ok {
		t.Fatal("the file has no " + MetadataKey)
	}
	var got ParquetMetadata
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := ParquetMetadata{Version: 1, Columns: []ParquetColumn{
		{Name: "zz_bool", Type: "bool"}, {Name: "int32", Type: "int32"}, {Name: "int64", Type: "int64"},
		{Name: "double", Type: "double"}, {Name: "string", Type: "string"},
		{Name: "factor", Type: "factor", Meta: map[string]string{frame.MetaLevels: `["b","a",""]`}},
		// declared levels keep their order, also where the first row has the second
		{Name: "ordered", Type: "ordered", Meta: map[string]string{frame.MetaLevels: `["low","mid","high"]`, frame.MetaOrdered: "1"}},
		{Name: "date", Type: "date"},
		{Name: "instant", Type: "timestamp[America/New_York]", Meta: map[string]string{frame.MetaTimezone: "America/New_York"}},
		{Name: "wall", Type: "timestamp"},
		{Name: "span", Type: "difftime[mins]", Meta: map[string]string{frame.MetaR: "difftime", frame.MetaUnits: "mins"}},
		{Name: "numbers", Type: "list<double>"}, {Name: "words", Type: "list<string>"},
		{Name: "raw", Type: "binary"},
		{Name: "json", Type: "json", Meta: map[string]string{frame.MetaJSON: "1"}},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// column makes a frame of one column.
func column(t testing.TB, f arrow.Field, n int, add func(c *frame.Column, i int)) *stages.Rows {
	t.Helper()
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{f}, nil))
	for i := range n {
		add(b.Column(0), i)
	}
	fr, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return &stages.Rows{Value: fr, Rows: n}
}

func TestNaNIsNoBoundInStatistics(t *testing.T) {
	env := testEnv(t, "r1")
	f := func(name string, values []float64, min, max float64) {
		t.Helper()
		b := column(t, typed("x", arrow.PrimitiveTypes.Float64), len(values), func(c *frame.Column, i int) { c.AppendDouble(values[i]) })
		commit(t, &Parquet{Path: name + ".parquet"}, env, b)
		chunk := openParquet(t, filepath.Join(env.Dir, name+".parquet")).RowGroups()[0].ColumnChunks()[0].(*parquet.FileColumnChunk)
		lo, hi, ok := chunk.Bounds()
		same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
		if !ok || !same(lo.Double(), min) || !same(hi.Double(), max) {
			t.Errorf("%s: bounds %v %v %v", name, lo, hi, ok)
		}
	}
	f("some", []float64{math.NaN(), 2, -3, math.NaN()}, -3, 2)
	f("infinite", []float64{math.NaN(), math.Inf(-1), 7}, math.Inf(-1), 7)
	// The format tells readers to ignore bounds that are NaN.
	f("all", []float64{math.NaN(), math.NaN()}, math.NaN(), math.NaN())
}

func TestRowGroupLimits(t *testing.T) {
	f := func(name string, p Parquet, want ...int64) {
		t.Helper()
		env := testEnv(t, "r1")
		p.Path = "x.parquet"
		commit(t, &p, env, rows(0, 0, 1000), rows(0, 1000, 1000), rows(0, 2000, 500))
		var got []int64
		for _, g := range openParquet(t, filepath.Join(env.Dir, "x.parquet")).RowGroups() {
			got = append(got, g.NumRows())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	f("default", Parquet{}, 2500)
	f("rows", Parquet{RowGroup: RowGroup{Rows: 700}}, 700, 700, 700, 400)
	f("bytes", Parquet{RowGroup: RowGroup{Bytes: 1000}}, 1000, 1000, 500) // each batch is larger
	f("rows of one", Parquet{RowGroup: RowGroup{Rows: 2499}}, 2499, 1)
}

func TestDictionaries(t *testing.T) {
	f := func(name string, value func(i int) string, dictionary bool) {
		t.Helper()
		env := testEnv(t, "r1")
		b := column(t, typed("x", arrow.BinaryTypes.String), 10_000, func(c *frame.Column, i int) { c.AppendString(value(i)) })
		commit(t, &Parquet{Path: "x.parquet"}, env, b)
		file := openParquet(t, filepath.Join(env.Dir, "x.parquet"))
		has := file.Metadata().RowGroups[0].Columns[0].MetaData.DictionaryPageOffset != 0
		if has != dictionary {
			t.Errorf("%s: dictionary %v", name, has)
		}
	}
	f("few values", func(i int) string { return fmt.Sprint("value ", i%50) }, true)
	f("all distinct", func(i int) string { return fmt.Sprint("value ", i) }, false)
}

// A dictionary that outgrows its limit within a row group goes on plainly, and
// the values stay right.
func TestDictionaryFallsBack(t *testing.T) {
	env := testEnv(t, "r1")
	var batches []*stages.Rows
	const each, n = 10_000, 20
	for k := range n {
		batches = append(batches, column(t, typed("x", arrow.BinaryTypes.String), each, func(c *frame.Column, i int) {
			if k == 0 {
				i %= 10 // the sample sees few values
			}
			c.AppendString(fmt.Sprintf("a longish value of %07d", k*each+i))
		}))
	}
	commit(t, &Parquet{Path: "x.parquet", RowGroup: RowGroup{Rows: each * n}}, env, batches...)
	r := parquet.NewGenericReader[struct {
		X *string `parquet:"x,optional"`
	}](openParquet(t, filepath.Join(env.Dir, "x.parquet")))
	defer r.Close()
	got := make([]struct {
		X *string `parquet:"x,optional"`
	}, each*n)
	if k, _ := r.Read(got); k != each*n {
		t.Fatalf("read %d rows", k)
	}
	for i := range got {
		want := i
		if i < each {
			want = i % 10
		}
		if *got[i].X != fmt.Sprintf("a longish value of %07d", want) {
			t.Fatalf("row %d is %s", i, *got[i].X)
		}
	}
}

func TestColumnsThatNoFileHolds(t *testing.T) {
	eachSink(t, func(t *testing.T, ext string, sink func(string, Files) Sink) {
		f := func(want string, fields ...arrow.Field) {
			t.Helper()
			env := testEnv(t, "run-1")
			w := open(t, sink("out", Files{}), env)
			s := arrow.NewSchema(fields, nil)
			err := w.Write(t.Context(), &stages.Rows{Value: array.NewRecordBatch(s, empty(s), 0)})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Error(err)
			}
			if err := w.Abort(); err != nil {
				t.Fatal(err)
			}
			if left := tree(t, env.Dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		}
		nested := frame.ListType(typed("item", frame.ListType(typed("item", arrow.PrimitiveTypes.Int32))))
		f(`column "odd" has type list<`, typed("x", arrow.PrimitiveTypes.Int32), typed("odd", nested))
		f(`two columns are called "x"`, typed("x", arrow.PrimitiveTypes.Int32), typed("x", arrow.PrimitiveTypes.Int32))
		f("no columns")
	})
}

func empty(s *frame.Schema) (cols []arrow.Array) {
	for _, f := range s.Fields() {
		cols = append(cols, array.MakeArrayOfNull(frame.Allocator, f.Type, 0))
	}
	return cols
}

var _ configs.Checker = (*Parquet)(nil)
