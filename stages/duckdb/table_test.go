//go:build cgo

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

func createTable(t testing.TB, d *DB, in map[string]Input) *Table {
	t.Helper()
	table, err := d.CreateTable(t.Context(), numbersSchema, in["input"])
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// rowsOf collects the first column of a result, of int64.
func rowsOf(t testing.TB, q *Query, inputs map[string]Input) (rows []int64) {
	t.Helper()
	err := q.Run(t.Context(), inputs, func(f frame.Frame) error {
		rows = append(rows, f.Column(0).(*array.Int64).Int64Values()...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// A table is joined with itself and with a stream, whose order stays and which
// is not read ahead of what is taken.
func TestATableIsReadManyTimes(t *testing.T) {
	for _, threads := range []int{1, 2} {
		d := open(t, Options{Threads: threads})
		table := createTable(t, d, (&counted{frames: 3, groups: 10}).input())
		if table.Rows() != 30_000 {
			t.Errorf("%d rows", table.Rows())
		}
		tables := map[string]*Table{"dim": table}
		self, err := d.PrepareWith(t.Context(), "SELECT a.i FROM dim AS a JOIN dim AS b ON b.i = a.i + 1 ORDER BY a.i", nil, tables)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if rows := rowsOf(t, self, nil); len(rows) != 29_999 || rows[0] != 0 {
				t.Errorf("a self-join has %d rows", len(rows))
			}
		}
		streamed, err := d.PrepareWith(t.Context(), "SELECT input.i, dim.s FROM input LEFT JOIN dim ON dim.i = input.i % 40000",
			map[string]*frame.Schema{"input": numbersSchema}, tables)
		if err != nil {
			t.Fatal(err)
		}
		in := &counted{frames: 100, groups: 10}
		next := int64(0)
		err = streamed.Run(t.Context(), in.input(), func(f frame.Frame) error {
			for k, v := range f.Column(0).(*array.Int64).Int64Values() {
				if v != next || f.Column(1).IsNull(k) != (v%40_000 >= 30_000) {
					return fmt.Errorf("row %d is %d", next, v)
				}
				next++
			}
			if threads == 1 && in.given > int(next)+400_000 {
				return fmt.Errorf("%d rows were read when %d had been taken", in.given, next)
			}
			return nil
		})
		if err != nil || next != 1_000_000 {
			t.Errorf("%d rows, %v", next, err)
		}
		self.Close()
		streamed.Close()
		if err := table.Drop(); err != nil {
			t.Error(err)
		}
		if _, err := d.PrepareWith(t.Context(), "SELECT i FROM dim", nil, tables); err == nil {
			t.Error("a dropped table is there")
		}
	}
}

// A stream that the query reads more than once is read whole first, and spills.
func TestAStreamIsReadMoreThanOnce(t *testing.T) {
	f := func(sql string, want int) {
		t.Helper()
		d := open(t, Options{Memory: 48 << 20, Temp: t.TempDir() + "/spill"})
		q := prepare(t, d, sql)
		for range 2 {
			if rows := rowsOf(t, q, (&counted{frames: 30, groups: 10}).input()); len(rows) != want {
				t.Errorf("%s: %d rows, want %d", sql, len(rows), want)
			}
		}
	}
	f("SELECT i FROM input WHERE i > (SELECT avg(i) FROM input)", 150_000)
	f("SELECT a.i FROM input AS a JOIN input AS b USING (i)", 300_000)
	f("WITH x AS (SELECT i FROM input WHERE i < 10) SELECT a.i FROM x AS a, x AS b", 100)
}

// Two streams are joined; one of them may be read twice.
func TestTwoStreams(t *testing.T) {
	d := open(t, Options{})
	q, err := d.Prepare(t.Context(), "SELECT a.i FROM a JOIN b USING (i) WHERE a.i > (SELECT min(i) FROM b) ORDER BY a.i",
		map[string]*frame.Schema{"a": numbersSchema, "b": numbersSchema})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	inputs := map[string]Input{"a": (&counted{frames: 5, groups: 10}).input()["input"], "b": (&counted{frames: 2, groups: 10}).input()["input"]}
	if rows := rowsOf(t, q, inputs); len(rows) != 19_999 {
		t.Errorf("%d rows", len(rows))
	}
}

func TestEveryTypePassesThroughATable(t *testing.T) {
	d := open(t, Options{})
	in := random(rand.New(rand.NewPCG(4, 4)), everyType, 5000, 0.2)
	table, err := d.CreateTable(t.Context(), everyType, Single(in))
	if err != nil {
		t.Fatal(err)
	}
	q, err := d.PrepareWith(t.Context(), "FROM t", nil, map[string]*Table{"t": table})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	out, err := q.Collect(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range everyType.NumFields() {
		same(t, everyType.Field(i).Name, out.Column(i), plain(in.Column(i)))
	}
}

func TestATableThatCannotBeMade(t *testing.T) {
	d := open(t, Options{Memory: 8 << 20})
	boom := errors.New("boom")
	in := (&counted{frames: 3, groups: 10, then: func(context.Context) (frame.Frame, error) { return nil, boom }}).input()
	if _, err := d.CreateTable(t.Context(), numbersSchema, in["input"]); !errors.Is(err, boom) {
		t.Error(err)
	}
	var e *Error
	if _, err := d.CreateTable(t.Context(), numbersSchema, (&counted{frames: 300, groups: 10}).input()["input"]); !errors.As(err, &e) || e.Kind != "Out of Memory" {
		t.Error(err)
	}
	empty := Input{Next: func(context.Context) (frame.Frame, error) { return nil, io.EOF }}
	if _, err := d.CreateTable(t.Context(), schema("x int32", "X int32"), empty); err == nil || !strings.Contains(err.Error(), `"X" and "x" differ only in case`) {
		t.Error(err)
	}
	if table, err := d.CreateTable(t.Context(), numbersSchema, empty); err != nil || table.Rows() != 0 {
		t.Error(err)
	}
}
