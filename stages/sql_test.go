//go:build cgo

package stages

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

func sqlSchema(fields ...string) *frame.Schema {
	s := make([]arrow.Field, 0, len(fields))
	for _, f := range fields {
		name, kind, _ := strings.Cut(f, " ")
		field, err := frame.ParseType(kind)
		if err != nil {
			panic(err)
		}
		field.Name = name
		s = append(s, field)
	}
	return arrow.NewSchema(s, nil)
}

var sqlRow = sqlSchema("row int64", "x int32", "y double", "s string", "f factor", "b bool", "when timestamp[Europe/Berlin]", "l list<double>", "d difftime[mins]")

// sqlFrame has n random rows, the first of which has number first in column row.
func sqlFrame(r *rand.Rand, first, n int) frame.Frame {
	b := frame.NewBuilderSize(sqlRow, n)
	for i := range n {
		b.Column(0).AppendInt64(int64(first + i))
		for k := 1; k < sqlRow.NumFields(); k++ {
			c := b.Column(k)
			if r.IntN(5) == 0 {
				c.AppendNull()
				continue
			}
			switch sqlRow.Field(k).Name {
			case "x":
				c.AppendInt32(int32(r.IntN(201) - 100))
			case "y", "d":
				c.AppendDouble([]float64{r.NormFloat64(), math.NaN(), 0, 2}[r.IntN(4)])
			case "s", "f":
				c.AppendString([]string{"", "a", "Zürich", "longer than twelve bytes", "7"}[r.IntN(5)])
			case "b":
				c.AppendBool(r.IntN(2) == 0)
			case "when":
				c.AppendInt64(r.Int64N(2e15))
			case "l":
				for range r.IntN(3) {
					c.Child().AppendDouble(r.Float64())
				}
				c.AppendList()
			}
		}
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

// transformed runs frames through t, and returns what came out and what was rejected.
func transformed(t *testing.T, tr Transform, frames ...frame.Frame) (out []*Rows, rejected []*Rejected, err error) {
	t.Helper()
	var mu sync.Mutex
	env := (&Env{Parallel: 3, Reject: func(_ context.Context, r *Rejected) error {
		mu.Lock()
		defer mu.Unlock()
		rejected = append(rejected, r)
		r.Batch.Settle(nil)
		return nil
	}}).For("sql")
	defer env.Close()
	stage, err := tr.Build(env)
	if err != nil {
		return nil, nil, err
	}
	ledger := NewLedger(0, 0)
	source := func(soft, hard context.Context, out chan<- *Rows) error {
		first := int64(0)
		for i, f := range frames {
			o, err := ledger.Open(hard, fmt.Sprint(i+1), 0, 1)
			if err != nil {
				return err
			}
			b := &Rows{Value: f, Rows: int(f.NumRows()), Seq: uint64(i), First: first, Origins: []*Origin{o}}
			first += f.NumRows()
			if err := Send(hard, out, b); err != nil {
				return err
			}
		}
		return nil
	}
	run := NewRun(t.Context())
	src := From(run, "source", 1, source)
	To(run, "sink", Then(run, "sql", 1, src, stage), func(ctx context.Context, in <-chan *Rows) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			out = append(out, b)
			b.Settle(nil)
		}
	})
	err = run.Wait()
	if at, open := ledger.Frontier(); err == nil && (open != 0 || at != fmt.Sprint(len(frames))) {
		t.Errorf("%d reads are open, the frontier is %s", open, at)
	}
	return out, rejected, err
}

func joined(t *testing.T, batches []*Rows) frame.Frame {
	t.Helper()
	var frames []frame.Frame
	for _, b := range batches {
		if int64(b.Rows) != b.Value.NumRows() {
			t.Errorf("a batch of %d rows says %d", b.Value.NumRows(), b.Rows)
		}
		frames = append(frames, b.Value)
	}
	f, err := frame.Concat(frames...)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sameRows compares rows of two frames as their values print.
func sameRows(t *testing.T, got, want frame.Frame, rows []int) {
	t.Helper()
	if !got.Schema().Equal(want.Schema()) {
		t.Fatalf("schema\n%swant\n%s", frame.FormatSchema(got.Schema()), frame.FormatSchema(want.Schema()))
	}
	if int(got.NumRows()) != len(rows) {
		t.Fatalf("%d rows, want %d", got.NumRows(), len(rows))
	}
	for k := range got.NumCols() {
		for i, r := range rows {
			if g, w := got.Column(int(k)), want.Column(int(k)); g.IsNull(i) != w.IsNull(r) || g.ValueStr(i) != w.ValueStr(r) {
				t.Fatalf("column %s, row %d: %s, want %s", got.ColumnName(int(k)), i, g.ValueStr(i), w.ValueStr(r))
			}
		}
	}
}

func sqlPairs(pairs ...string) (p configs.Pairs) {
	for i := 0; i < len(pairs); i += 2 {
		p = append(p, configs.Pair{Name: pairs[i], Value: pairs[i+1]})
	}
	return p
}
