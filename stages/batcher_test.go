package stages

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/frame"
)

var numbers = arrow.NewSchema([]arrow.Field{{Name: "x", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil)

// numbered is a frame with the numbers [from, to).
func numbered(from, to int) frame.Frame {
	b := array.NewInt64Builder(frame.Allocator)
	for i := from; i < to; i++ {
		b.Append(int64(i))
	}
	return array.NewRecordBatch(numbers, []arrow.Array{b.NewArray()}, int64(to-from))
}

// reads is a source of frames of these sizes, with a read of the ledger each;
// pauses[i] passes before read i.
func reads(l *Ledger, sizes []int, epochs []uint64, pauses []time.Duration) Source[frame.Frame] {
	return func(soft, hard context.Context, out chan<- *Rows) error {
		at := 0
		for i, n := range sizes {
			if i < len(pauses) {
				time.Sleep(pauses[i]) // the bubble's clock
			}
			f := numbered(at, at+n)
			o, err := l.Open(hard, fmt.Sprint(at+n), 0, frame.Bytes(f))
			if err != nil {
				return err
			}
			b := &Rows{Value: f, Rows: n, Bytes: frame.Bytes(f), Seq: uint64(i), First: int64(at), Origins: []*Origin{o}}
			if i < len(epochs) {
				b.Epoch = epochs[i]
			}
			if err := Send(hard, out, b); err != nil {
				return err
			}
			at += n
		}
		return nil
	}
}

// rebatched runs sizes through a batch stage and returns what came out.
func rebatched(ctx context.Context, l *Ledger, p Policy, src Source[frame.Frame]) (got []*Rows, values []int64, reasons map[string]int64, err error) {
	r := NewRun(ctx)
	edge := Then(r, "batch", 0, From(r, "src", 0, src), Rebatch(p))
	To(r, "sink", edge, func(ctx context.Context, in <-chan *Rows) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			got = append(got, b)
			values = append(values, b.Value.Column(0).(*array.Int64).Int64Values()...)
			b.Settle(nil)
		}
	})
	err = r.Wait()
	return got, values, r.Meters()[1].Read().Reasons, err
}

func TestBatchLimitsAreHard(t *testing.T) {
	row := frame.Bytes(numbered(0, 1))
	f := func(p Policy, sizes []int, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			l := NewLedger(0, 0)
			got, values, reasons, err := rebatched(t.Context(), l, p, reads(l, sizes, nil, nil))
			if err != nil {
				t.Fatal(err)
			}
			var rows []int
			for i, b := range got {
				rows = append(rows, b.Rows)
				if b.Seq != uint64(i) || b.Rows != int(b.Value.NumRows()) {
					t.Errorf("batch %d: Seq %d, Rows %d of %d", i, b.Seq, b.Rows, b.Value.NumRows())
				}
			}
			if s := fmt.Sprint(rows, reasons); s != want {
				t.Errorf("%v of %v: got %s, want %s", p, sizes, s, want)
			}
			for i, v := range values {
				if v != int64(i) {
					t.Fatalf("row %d is %d", i, v)
				}
			}
			if _, open := l.Frontier(); open != 0 {
				t.Errorf("%d reads are open", open)
			}
		})
	}
	f(Policy{Rows: 3}, []int{7}, "[3 3 1] map[end:1 rows:2]")
	f(Policy{Rows: 3}, []int{1, 1, 1, 1}, "[3 1] map[end:1 rows:1]")
	f(Policy{Rows: 3}, []int{3, 3}, "[3 3] map[rows:2]")
	f(Policy{Bytes: 2 * row}, []int{1, 1, 1, 1, 1}, "[2 2 1] map[bytes:2 end:1]")
	f(Policy{Bytes: row / 2}, []int{3}, "[1 1 1] map[bytes:3]") // one row alone may be larger
	f(Policy{Rows: 2, Bytes: 100 * row}, []int{5}, "[2 2 1] map[end:1 rows:2]")
}

// Whatever the reads, limits and epochs: every row once, in order, no batch over
// a limit or of two epochs, and every read settled.
func TestBatchKeepsRowsAndAccounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 30).Draw(rt, "sizes")
		epochs := make([]uint64, len(sizes))
		for i := range epochs {
			if i > 0 {
				epochs[i] = epochs[i-1]
			}
			if rapid.IntRange(0, 4).Draw(rt, "epoch") == 0 {
				epochs[i]++
			}
		}
		p := Policy{Rows: rapid.IntRange(0, 50).Draw(rt, "rows"), Bytes: rapid.Int64Range(0, 300).Draw(rt, "bytes")}
		l := NewLedger(0, 0)
		got, values, _, err := rebatched(context.Background(), l, p, reads(l, sizes, epochs, nil))
		if err != nil {
			rt.Fatal(err)
		}
		total := 0
		for _, n := range sizes {
			total += n
		}
		if len(values) != total {
			rt.Fatalf("%d rows of %d", len(values), total)
		}
		for i, v := range values {
			if v != int64(i) {
				rt.Fatalf("row %d is %d", i, v)
			}
		}
		epochOf := func(row int64) uint64 {
			for i, n := range sizes {
				if row -= int64(n); row < 0 {
					return epochs[i]
				}
			}
			return 0
		}
		for _, b := range got {
			if p.Rows > 0 && b.Rows > p.Rows || p.Bytes > 0 && b.Rows > 1 && frame.Bytes(b.Value) > p.Bytes+64 {
				rt.Fatalf("a batch of %d rows, %d bytes: %+v", b.Rows, frame.Bytes(b.Value), p)
			}
			if epochOf(b.First) != b.Epoch || epochOf(b.First+int64(b.Rows)-1) != b.Epoch {
				rt.Fatalf("a batch mixes epochs")
			}
		}
		if front, open := l.Frontier(); open != 0 || front != fmt.Sprint(total) {
			rt.Fatalf("frontier %s of %d, %d open", front, total, open)
		}
	})
}

func TestPeriodRunsFromTheFirstRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(0, 0)
		idle := []time.Duration{50 * time.Second, 4 * time.Second, 4 * time.Second}
		got, _, reasons, err := rebatched(t.Context(), l, Policy{Rows: 100, Period: 5 * time.Second}, reads(l, []int{1, 1, 1}, nil, idle))
		if err != nil || len(got) != 2 || got[0].Rows != 2 || reasons["period"] != 1 {
			t.Fatalf("%d batches, %v, %v", len(got), reasons, err)
		}
	})
}

func TestABatchThatCannotFitIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(4*frame.Bytes(numbered(0, 10)), 0)
		_, _, _, err := rebatched(t.Context(), l, Policy{Rows: 1000}, reads(l, []int{10, 10, 10, 10, 10, 10}, nil, nil))
		if err == nil || !strings.Contains(err.Error(), "does not fit into the run's memory") || !strings.Contains(err.Error(), "40 rows fill it") {
			t.Fatal(err)
		}
	})
}
