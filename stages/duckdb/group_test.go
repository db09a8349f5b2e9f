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

// mixed gives rows of groups in a shuffled order: each group has four rows, with
// the numbers 0 to 3 in this order.
type mixed struct {
	groups, given int
	step          int // coprime to groups
}

func (m *mixed) next(context.Context) (frame.Frame, error) {
	const rows = 10_000
	total := 4 * m.groups
	if m.given == total {
		return nil, io.EOF
	}
	b := frame.NewBuilderSize(schema("g int64", "k int32", "s string"), rows)
	for range min(rows, total-m.given) {
		b.Column(0).AppendInt64(int64(m.given % m.groups * m.step % m.groups))
		b.Column(1).AppendInt32(int32(m.given / m.groups))
		b.Column(2).AppendString(fmt.Sprintf("a text that is not short %d", m.given/m.groups))
		m.given++
	}
	return b.Frame()
}

var mixedSchema = schema("g int64", "k int32", "s string")

// groupsSpill computes groups in little memory, and checks every one. text is a
// measure of the text; the state of one such as last does not spill.
func groupsSpill(t *testing.T, groups int, memory int64, text string) {
	d := open(t, Options{Memory: memory, Temp: t.TempDir() + "/spill"})
	q, err := d.Group(t.Context(), mixedSchema, Grouping{
		By: []Named{{"g", "g"}},
		Measures: []Named{{"n", "count(*)"}, {"total", "sum(k)"}, {"first", "first(k)"}, {"last", "last(k)"}, {"text", text},
			{"low", "min(k)"}, {"distinct", "count(DISTINCT k % 2)"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	in := &mixed{groups: groups, step: 7919}
	next := int64(0)
	err = q.Run(t.Context(), map[string]Input{"input": {Next: in.next}}, func(f frame.Frame) error {
		for i := range int(f.NumRows()) {
			ints := func(k int) int64 { return f.Column(k).(*array.Int64).Value(i) }
			small := func(k int) int32 { return f.Column(k).(*array.Int32).Value(i) }
			if ints(0) != next || ints(1) != 4 || ints(2) != 6 || small(3) != 0 || small(4) != 3 ||
				f.Column(5).(*array.String).Value(i) != "a text that is not short 3" || small(6) != 0 || ints(7) != 2 {
				return fmt.Errorf("row %d is wrong: %v", next, frame.Slice(f, i, i+1))
			}
			next++
		}
		return nil
	})
	if err != nil || next != int64(groups) {
		t.Errorf("%d groups, %v", next, err)
	}
}

// Groups that do not fit into memory go to the disk, and first and last are
// still those of the input's order.
func TestGroupsSpill(t *testing.T) { groupsSpill(t, 150_000, 40<<20, "last(s)") }

// What does not spill is an error that says so, and the database lives on.
func TestGroupsOutOfMemory(t *testing.T) {
	d := open(t, Options{Memory: 24 << 20, Temp: t.TempDir() + "/spill"})
	q, err := d.Group(t.Context(), mixedSchema, Grouping{Measures: []Named{{"all", "list(s || k)"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	var e *Error
	err = q.Run(t.Context(), map[string]Input{"input": {Next: (&mixed{groups: 400_000, step: 1}).next}}, func(frame.Frame) error { return nil })
	if !errors.As(err, &e) || e.Kind != "Out of Memory" || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	groupsSpill(t, 1000, 64<<20, "last(s)")
}

// A sort is stable, whether it fits into memory or not, and keeps every type.
func TestSort(t *testing.T) {
	f := func(groups int, memory int64) {
		t.Helper()
		d := open(t, Options{Memory: memory, Temp: t.TempDir() + "/spill"})
		q, err := d.Sort(t.Context(), mixedSchema, []string{"g"})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		next := int64(0)
		err = q.Run(t.Context(), map[string]Input{"input": {Next: (&mixed{groups: groups, step: 7919}).next}}, func(f frame.Frame) error {
			for i := range int(f.NumRows()) {
				if f.Column(0).(*array.Int64).Value(i) != next/4 || f.Column(1).(*array.Int32).Value(i) != int32(next%4) {
					return fmt.Errorf("row %d is wrong", next)
				}
				next++
			}
			return nil
		})
		if err != nil || next != int64(4*groups) {
			t.Errorf("%d rows, %v", next, err)
		}
	}
	f(1000, 0)
	f(150_000, 32<<20)

	d := open(t, Options{})
	q, err := d.Sort(t.Context(), everyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	in := random(rand.New(rand.NewPCG(9, 9)), everyType, 5000, 0.2)
	out, err := q.Collect(t.Context(), map[string]Input{"input": Single(in)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range everyType.NumFields() {
		same(t, everyType.Field(i).Name, out.Column(i), plain(in.Column(i)))
	}
	if _, err := d.Sort(t.Context(), schema("x int32", "X int32"), nil); err == nil || !strings.Contains(err.Error(), "differ only in case") {
		t.Error(err)
	}
}
