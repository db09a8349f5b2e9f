//go:build cgo

package duckdb

import (
	"context"
	"io"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// benchFrame has six columns, a tenth of one of them null.
func benchFrame(n int) frame.Frame {
	b := frame.NewBuilderSize(schema("id int64", "lang string", "val double", "n int32", "ok bool", "t timestamp[UTC]"), n)
	for i := range n {
		b.Column(0).AppendInt64(int64(i))
		b.Column(1).AppendString([]string{"de", "en", "fr", "ja"}[i%4])
		if i%10 == 0 {
			b.Column(2).AppendNull()
		} else {
			b.Column(2).AppendDouble(float64(i%2000) - 1000)
		}
		b.Column(3).AppendInt32(int32(i % 100))
		b.Column(4).AppendBool(i%3 != 0)
		b.Column(5).AppendInt64(int64(i) * 1e6)
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

const benchRows = 10000

func rate(b *testing.B) {
	b.ReportMetric(float64(benchRows)*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func benchEval(b *testing.B, parallel bool, make func(d *DB, s *frame.Schema) (*Expressions, error)) {
	d := open(b, Options{})
	f := benchFrame(benchRows)
	x, err := make(d, f.Schema())
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	if parallel {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := x.Eval(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	} else {
		for b.Loop() {
			if _, err := x.Eval(b.Context(), f); err != nil {
				b.Fatal(err)
			}
		}
	}
	rate(b)
}

const benchWhere = "ok AND val > -500"

func condition(d *DB, s *frame.Schema) (*Expressions, error) {
	return d.Condition(context.Background(), s, benchWhere)
}

func columns(d *DB, s *frame.Schema) (*Expressions, error) {
	return d.Columns(context.Background(), s, []Named{{"a", "val / n * 60"}, {"b", "n * 2 + 1"}})
}

// A query for each batch of 10,000 rows: what filter and derive do.
func BenchmarkCondition(b *testing.B)         { benchEval(b, false, condition) }
func BenchmarkConditionParallel(b *testing.B) { benchEval(b, true, condition) }
func BenchmarkColumns(b *testing.B)           { benchEval(b, false, columns) }
func BenchmarkColumnsParallel(b *testing.B)   { benchEval(b, true, columns) }

// All columns through DuckDB, a query for each batch.
func BenchmarkWholeRowsPerBatch(b *testing.B) {
	d := open(b, Options{})
	f := benchFrame(benchRows)
	q, err := d.Prepare(b.Context(), "SELECT * FROM input WHERE "+benchWhere, map[string]*frame.Schema{"input": f.Schema()})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	for b.Loop() {
		if _, err := q.Collect(b.Context(), map[string]Input{"input": Single(f)}); err != nil {
			b.Fatal(err)
		}
	}
	rate(b)
}

// One long query over all batches.
func benchLong(b *testing.B, threads int, sql string) {
	d := open(b, Options{Threads: threads})
	f := benchFrame(benchRows)
	q, err := d.Prepare(b.Context(), sql, map[string]*frame.Schema{"input": f.Schema()})
	if err != nil {
		b.Fatal(err)
	}
	defer q.Close()
	left := b.N
	b.ResetTimer()
	err = q.Run(b.Context(), map[string]Input{"input": {Next: func(context.Context) (frame.Frame, error) {
		if left--; left < 0 {
			return nil, io.EOF
		}
		return f, nil
	}}}, func(frame.Frame) error { return nil })
	if err != nil {
		b.Fatal(err)
	}
	rate(b)
}

func BenchmarkLongCondition(b *testing.B) {
	benchLong(b, 1, "SELECT CASE WHEN ("+benchWhere+") THEN true ELSE false END AS c FROM input")
}
func BenchmarkLongColumns(b *testing.B) {
	benchLong(b, 1, "SELECT val / n * 60 AS a, n * 2 + 1 AS b FROM input")
}
func BenchmarkLongWholeRows(b *testing.B) {
	benchLong(b, 1, "SELECT * FROM input WHERE "+benchWhere)
}
func BenchmarkLongWholeRowsTwoThreads(b *testing.B) {
	benchLong(b, 2, "SELECT * FROM input WHERE "+benchWhere)
}
func BenchmarkLongGroupBy(b *testing.B) {
	benchLong(b, 1, "SELECT lang, count(*) AS n, avg(val) AS val FROM input GROUP BY lang")
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		d, err := Open(Options{})
		if err != nil {
			b.Fatal(err)
		}
		d.Close()
	}
}
