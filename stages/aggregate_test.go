//go:build cgo

package stages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// columnsOf are names that each stand for a column, as a list in YAML does.
func columnsOf(names ...string) (p configs.Pairs) {
	for _, n := range names {
		p = append(p, configs.Pair{Name: n, Value: n})
	}
	return p
}

// tableOf is a frame of rows of text: "" is NULL, and the types are those of fields.
func tableOf(t testing.TB, fields []string, rows ...string) frame.Frame {
	t.Helper()
	schema := sqlSchema(fields...)
	b := frame.NewBuilder(schema)
	for _, row := range rows {
		for i, v := range strings.Split(row, " ") {
			if v == "." {
				b.Column(i).AppendNull()
				continue
			}
			var n float64
			switch frame.KindOf(schema.Field(i)) {
			case frame.KindString, frame.KindFactor:
				b.Column(i).AppendString(v)
			case frame.KindInt32:
				fmt.Sscan(v, &n)
				b.Column(i).AppendInt32(int32(n))
			case frame.KindInt64, frame.KindTimestamp, frame.KindDatetime:
				fmt.Sscan(v, &n)
				b.Column(i).AppendInt64(int64(n))
			case frame.KindDate:
				fmt.Sscan(v, &n)
				b.Column(i).AppendInt32(int32(n))
			default:
				fmt.Sscan(v, &n)
				b.Column(i).AppendDouble(n)
			}
		}
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// shown are the rows of a frame as text.
func shown(f frame.Frame) (rows []string) {
	for i := range int(f.NumRows()) {
		var values []string
		for k := range int(f.NumCols()) {
			values = append(values, f.Column(k).ValueStr(i))
		}
		rows = append(rows, strings.ReplaceAll(strings.Join(values, " "), "(null)", "."))
	}
	return rows
}

func aggregated(t *testing.T, c *Aggregate, frames ...frame.Frame) frame.Frame {
	t.Helper()
	out, _, err := transformed(t, c, frames...)
	if err != nil {
		t.Fatal(err)
	}
	f := joined(t, out)
	if planned, err := c.Plan(frames[0].Schema()); err != nil || !planned.Equal(f.Schema()) {
		t.Errorf("planned\n%swas\n%s%v", frame.FormatSchema(planned), frame.FormatSchema(f.Schema()), err)
	}
	return f
}

func TestAggregateHasSQLsNullLogic(t *testing.T) {
	in := tableOf(t, []string{"g string", "x double", "n int32"},
		"b 1 1", "a . .", ". 2 2", "a 3 3", ". . .", "b NaN 5", "c . .")
	f := func(c *Aggregate, want ...string) {
		t.Helper()
		if got := shown(aggregated(t, c, frame.Slice(in, 0, 3), frame.Slice(in, 3, 7))); !slices.Equal(got, want) {
			t.Errorf("%v\nwant %v", got, want)
		}
	}
	f(&Aggregate{By: columnsOf("g"), Measures: sqlPairs("rows", "count(*)", "known", "count(x)", "total", "sum(x)", "top", "max(n)", "mean", "avg(n)")},
		"a 2 1 3 3 3", "b 2 2 NaN 5 3", "c 1 0 . . .", ". 2 1 2 2 2")
	f(&Aggregate{By: columnsOf("g"), Measures: sqlPairs("first", "first(x)", "last", "last(x)", "any", "any_value(x)", "all", "list(n)")},
		"a . 3 3 [null,3]", "b 1 NaN 1 [1,5]", "c . . . [null]", ". 2 . 2 [2,null]")
	f(&Aggregate{By: columnsOf("g"), Where: "x > 1", Measures: sqlPairs("rows", "count(*)")}, "a 1", "b 1", ". 1") // NaN is greater
	f(&Aggregate{By: columnsOf("g"), Having: "known = 0", Measures: sqlPairs("known", "count(x)")}, "c 0")
	f(&Aggregate{By: columnsOf("g"), Having: "count(*) = 1", Measures: sqlPairs("known", "count(x)")}, "c 0")
	f(&Aggregate{By: columnsOf("g"), Order: "known DESC, g DESC NULLS FIRST", Measures: sqlPairs("known", "count(x)")}, "b 2", ". 1", "a 1", "c 0")
	f(&Aggregate{Measures: sqlPairs("rows", "count(*)", "total", "sum(n)")}, "7 11")
	f(&Aggregate{By: columnsOf("g")}, "a", "b", "c", ".")
	f(&Aggregate{By: sqlPairs("odd", "n % 2 = 1", "group", "coalesce(g, 'none')"), Measures: sqlPairs("rows", "count(*)")},
		"false none 1", "true a 1", "true b 2", ". a 1", ". c 1", ". none 1")
	f(&Aggregate{By: columnsOf("g"), Measures: sqlPairs("share", "count(*) / (SELECT count(*) FROM input)"), Having: "share > 0.2", Order: "g"},
		"a 0.2857142857142857", "b 0.2857142857142857", ". 0.2857142857142857")
}

// Where no row comes, groups have none, and the whole has one.
func TestAggregateOfNothing(t *testing.T) {
	none := frame.Empty(sqlRow)
	if f := aggregated(t, &Aggregate{By: columnsOf("s", "f"), Measures: sqlPairs("n", "count(*)")}, none); f.NumRows() != 0 {
		t.Errorf("%v", shown(f))
	}
	if f := aggregated(t, &Aggregate{Measures: sqlPairs("n", "count(*)", "x", "sum(x)")}, none); !slices.Equal(shown(f), []string{"0 ."}) {
		t.Errorf("%v", shown(f))
	}
}

// Keys that are columns keep what SQL does not know of them; sums of integers
// and counts are int64.
func TestAggregateTypes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	one, two := sqlFrame(r, 0, 300), sqlFrame(r, 300, 300)
	for i, field := range sqlRow.Fields() {
		if frame.KindOf(field) == frame.KindList {
			continue
		}
		c := &Aggregate{By: sqlPairs("key", `"`+field.Name+`"`), Measures: sqlPairs("n", "count(*)", "total", "sum(x)", "share", "avg(x)", "when", "max(\"when\")")}
		f := aggregated(t, c, one, two)
		want := field
		want.Name = "key"
		if !f.Schema().Field(0).Equal(want) {
			t.Errorf("key %s is %v, want %v", field.Name, f.Schema().Field(0), want)
		}
		counts := map[string]int64{}
		for _, in := range []frame.Frame{one, two} {
			for k := range 300 {
				counts[in.Column(i).ValueStr(k)]++
			}
		}
		for k := range int(f.NumRows()) {
			key := f.Column(0).ValueStr(k)
			if got := f.Column(1).(*array.Int64).Value(k); got != counts[key] {
				t.Errorf("%s: %d rows of %s, want %d", field.Name, got, key, counts[key])
			}
			delete(counts, key)
		}
		if len(counts) > 0 {
			t.Errorf("%s: lost %v", field.Name, counts)
		}
		var types []string
		for _, field := range f.Schema().Fields()[1:] {
			types = append(types, frame.TypeName(field))
		}
		if want := []string{"int64", "int64", "double", "timestamp[UTC]"}; !slices.Equal(types, want) {
			t.Errorf("types %v, want %v", types, want)
		}
	}
}

// Levels keep the order that they have in the input, an ordered factor too.
func TestAggregateKeepsLevels(t *testing.T) {
	schema := sqlSchema("size ordered")
	b := frame.NewBuilder(schema)
	for _, v := range []string{"small", "large", "medium", "large"} {
		b.Column(0).AppendString(v)
	}
	in, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	f := aggregated(t, &Aggregate{By: columnsOf("size"), Measures: sqlPairs("n", "count(*)")}, in)
	levels := f.Column(0).(*array.Dictionary).Dictionary().String()
	if got := shown(f); !slices.Equal(got, []string{"large 2", "medium 1", "small 1"}) || levels != `["small" "large" "medium"]` {
		t.Errorf("%v, levels %s", got, levels)
	}
}

func TestAggregateMistakes(t *testing.T) {
	f := func(c *Aggregate, name, want string) {
		t.Helper()
		_, err := c.Plan(sqlRow)
		var e *SQLError
		if !errors.As(err, &e) || e.Name != name || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s: …%s", err, name, want)
		}
	}
	f(&Aggregate{Measures: sqlPairs("n", "count(*)", "delay", "avg(y) +\n avg(nosuch)")}, "measures.delay", `line 2, column 6: there is no column "nosuch"`)
	f(&Aggregate{Measures: sqlPairs("a", "first(x) || first(x) || last(nosuch)")}, "measures.a", "column 30: there is no column")
	f(&Aggregate{Measures: sqlPairs("a", "avg(s)")}, "measures.a", "avg(VARCHAR)")
	f(&Aggregate{By: columnsOf("s"), Measures: sqlPairs("x", "x")}, "measures.x", `column "x" has many values in a group: put it under by, or say which one is meant, as in first(x) or avg(x)`)
	f(&Aggregate{Measures: sqlPairs("x", "x")}, "measures.x", "has many values")
	f(&Aggregate{By: sqlPairs("b", "sum(x)")}, "by.b", "an aggregate goes under measures")
	f(&Aggregate{By: columnsOf("nosuch")}, "by.nosuch", "there is no column")
	f(&Aggregate{By: columnsOf("s"), Where: "count(*) > 1"}, "where", "a condition on groups goes under having")
	f(&Aggregate{By: columnsOf("s"), Having: "nosuch > 1"}, "having", "there is no column")
	f(&Aggregate{By: columnsOf("s"), Order: "s, nosuch"}, "order", `column 4: there is no column "nosuch"`)
	f(&Aggregate{By: columnsOf("s"), Order: "s,"}, "order", "syntax error")
	f(&Aggregate{By: columnsOf("s"), Measures: sqlPairs("a", "count(*")}, "measures.a", "syntax error")
	f(&Aggregate{By: columnsOf("s"), Measures: sqlPairs("a", "1); SELECT (2")}, "measures.a", "")
	f(&Aggregate{By: columnsOf("s"), Measures: sqlPairs("S", "count(*)")}, "measures.S", "there are two columns of this name")
	f(&Aggregate{By: columnsOf("s"), Measures: sqlPairs("a", "max(COLUMNS(*))")}, "", "write out a star")
	if _, err := (&Aggregate{By: columnsOf("s"), Measures: sqlPairs("a", "count(*")}).Plan(nil); err == nil || !strings.Contains(err.Error(), "measures.a: column") {
		t.Errorf("without a schema: %v", err)
	}
}

// A sum that is no int64 is an error that says so, and a double where one is asked for.
func TestAggregateSumsThatOverflow(t *testing.T) {
	in := tableOf(t, []string{"x int64"}, "9e18", "9e18")
	_, _, err := transformed(t, &Aggregate{Measures: sqlPairs("n", "count(*)", "total", "sum(x)")}, in)
	if err == nil || !strings.HasSuffix(err.Error(), `18000000000000000000 in column "total" is too large for int64: cast it to DOUBLE to have it rounded`) {
		t.Error(err)
	}
	if got := shown(aggregated(t, &Aggregate{Measures: sqlPairs("total", "sum(x::DOUBLE)")}, in)); got[0] != "1.8e+19" {
		t.Errorf("%v", got)
	}
}

// What does not fit into memory and does not spill ends the run, and the message
// says what can be done.
func TestAggregateOutOfMemory(t *testing.T) {
	env := (&Env{Memory: 1, Temp: t.TempDir() + "/run"}).For("sql")
	defer env.Close()
	stage, err := (&Aggregate{Measures: sqlPairs("all", "list(s || row)")}).Build(env)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(13, 13))
	f := sqlFrame(r, 0, 20_000)
	run := NewRun(t.Context())
	src := From(run, "source", 1, func(_, hard context.Context, out chan<- *Rows) error {
		for range 200 {
			if err := Send(hard, out, &Rows{Value: f, Rows: 20_000}); err != nil {
				return err
			}
		}
		return nil
	})
	To(run, "sink", Then(run, "sql", 1, src, stage), func(ctx context.Context, in <-chan *Rows) error {
		_, _, err := Receive(ctx, in)
		return err
	})
	if err := run.Wait(); err == nil || !strings.Contains(err.Error(), "out of memory") || !strings.Contains(err.Error(), "raise memory, of which SQL has a quarter, at least 64MiB") {
		t.Error(err)
	}
}

// A run that was drained emits nothing: its groups are not whole.
func TestADrainedAggregateEmitsNothing(t *testing.T) {
	env := (&Env{Ended: func() bool { return false }}).For("sql")
	defer env.Close()
	stage, err := (&Aggregate{By: columnsOf("s"), Measures: sqlPairs("n", "count(*)")}).Build(env)
	if err != nil {
		t.Fatal(err)
	}
	in, out := make(chan *Rows, 1), make(chan *Rows, 10)
	in <- &Rows{Value: sqlFrame(rand.New(rand.NewPCG(14, 14)), 0, 100), Rows: 100}
	close(in)
	if err := stage(t.Context(), in, out); err != nil || len(out) > 0 {
		t.Errorf("%d batches, %v", len(out), err)
	}
}

// Every measure is what plain Go makes of the rows.
func TestMeasuresEqualAReference(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	type row struct {
		g    int32
		x    int32
		y    float64
		null bool
	}
	var rows []row
	var frames []frame.Frame
	for range 40 {
		b := frame.NewBuilder(sqlSchema("g int32", "x int32", "y double"))
		for range 500 {
			v := row{int32(r.IntN(50)), int32(r.IntN(1000)), math.Round(r.NormFloat64()*1e4) / 16, r.IntN(4) == 0}
			rows = append(rows, v)
			b.Column(0).AppendInt32(v.g)
			b.Column(1).AppendInt32(v.x)
			if v.null {
				b.Column(2).AppendNull()
			} else {
				b.Column(2).AppendDouble(v.y)
			}
		}
		f, err := b.Frame()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	got := aggregated(t, &Aggregate{By: columnsOf("g"), Measures: sqlPairs(
		"rows", "count(*)", "known", "count(y)", "distinct", "count(DISTINCT x)", "total", "sum(x)", "mean", "avg(y)",
		"low", "min(y)", "high", "max(y)", "sd", "stddev(y)", "q90", "quantile_cont(y, 0.9)", "median", "median(y)",
		"first", "first(y)", "last", "last(x)", "large", "count(*) FILTER (WHERE x >= 500)")}, frames...)
	if got.NumRows() != 50 {
		t.Fatalf("%d groups", got.NumRows())
	}
	for g := range 50 {
		var of []row
		var ys []float64
		distinct := map[int32]bool{}
		var total, mean, squares float64
		large := 0
		for _, v := range rows {
			if v.g != int32(g) {
				continue
			}
			of = append(of, v)
			distinct[v.x] = true
			total += float64(v.x)
			if v.x >= 500 {
				large++
			}
			if !v.null {
				ys = append(ys, v.y)
				mean += v.y
			}
		}
		mean /= float64(len(ys))
		for _, y := range ys {
			squares += (y - mean) * (y - mean)
		}
		slices.Sort(ys)
		quantile := func(q float64) float64 {
			at := q * float64(len(ys)-1)
			low := int(at)
			return ys[low] + (at-float64(low))*(ys[min(low+1, len(ys)-1)]-ys[low])
		}
		first := "."
		if !of[0].null {
			first = fmt.Sprint(of[0].y)
		}
		want := []float64{float64(g), float64(len(of)), float64(len(ys)), float64(len(distinct)), total, mean, ys[0], ys[len(ys)-1],
			math.Sqrt(squares / float64(len(ys)-1)), quantile(0.9), quantile(0.5), math.NaN(), float64(of[len(of)-1].x), float64(large)}
		for k, v := range strings.Split(shown(got)[g], " ") {
			var x float64
			fmt.Sscan(v, &x)
			switch name := got.ColumnName(k); {
			case name == "first":
				var want float64
				if fmt.Sscan(first, &want); first == "." && v != "." || first != "." && x != want {
					t.Errorf("group %d: first is %s, want %s", g, v, first)
				}
			case math.Abs(x-want[k]) > 1e-9*max(1, math.Abs(want[k])):
				t.Errorf("group %d: %s is %s, want %v", g, name, v, want[k])
			}
		}
	}
	if !slices.IsSortedFunc(shown(got), func(a, b string) int {
		var x, y int
		fmt.Sscan(a, &x)
		fmt.Sscan(b, &y)
		return cmp.Compare(x, y)
	}) {
		t.Error("the groups are not in order")
	}
}
