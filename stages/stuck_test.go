package stages

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// drop is a sink that settles what it takes, and counts rows.
func drop(rows *int64) func(context.Context, <-chan *Rows) error {
	return func(ctx context.Context, in <-chan *Rows) error {
		for {
			b, ok, err := Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			*rows += b.Value.NumRows()
			b.Settle(nil)
		}
	}
}

func tens(n int) []int {
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = 10
	}
	return sizes
}

// What two batch stages hold together can be all the memory there is.
func TestTwoBatchesThatCannotFitTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(4*frame.Bytes(numbered(0, 10)), 0)
		r := NewRun(t.Context())
		first := Then(r, "small", 0, From(r, "src", 0, reads(l, tens(20), nil, nil)), Rebatch(Policy{Rows: 25}))
		second := Then(r, "large", 0, first, Rebatch(Policy{Rows: 60}))
		var rows int64
		To(r, "sink", second, drop(&rows))
		if err := r.Wait(); err == nil || !strings.Contains(err.Error(), "does not fit into the run's memory") {
			t.Error(err)
		}
	})
}

// Small results that wait for a column's type must not keep large inputs in memory.
func TestAgreementGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLedger(4*frame.Bytes(numbered(0, 10)), 0)
		schema := arrow.NewSchema([]arrow.Field{{Name: "note", Type: arrow.FixedWidthTypes.Boolean, Nullable: true}}, nil)
		r := NewRun(t.Context())
		summary := Then(r, "summary", 0, From(r, "src", 0, reads(l, tens(50), nil, nil)), Parallel(2, true, func(_ context.Context, b *Rows) (*Rows, error) {
			c := array.NewBooleanBuilder(frame.Allocator)
			c.AppendNull()
			return WithFrame(b, frame.New(schema, []arrow.Array{c.NewArray()}, 1)), nil
		}))
		var rows int64
		To(r, "sink", Then(r, "agree", 0, summary, agree(&Env{}, nil)), drop(&rows))
		if err := r.Wait(); err != nil || rows != 50 {
			t.Errorf("%d rows, %v", rows, err)
		}
		if _, open := l.Frontier(); open != 0 {
			t.Errorf("%d reads open", open)
		}
	})
}

// A stage's rows are numbered as they come in, whatever was left out before.
func TestRowsAreNumberedAtEachStage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRun(t.Context())
		l := NewLedger(0, 0)
		half := Then(r, "half", 1, From(r, "src", 1, reads(l, tens(20), nil, nil)), Parallel(3, true, func(_ context.Context, b *Rows) (*Rows, error) {
			return WithFrame(b, frame.Slice(b.Value, 0, 5)), nil
		}))
		next := int64(0)
		To(r, "sink", half, func(ctx context.Context, in <-chan *Rows) error {
			for {
				b, ok, err := Receive(ctx, in)
				if !ok || err != nil {
					return err
				}
				if b.First != next {
					t.Errorf("batch %d begins at %d, want %d", b.Seq, b.First, next)
				}
				next += int64(b.Rows)
				b.Settle(nil)
			}
		})
		if err := r.Wait(); err != nil || next != 100 {
			t.Errorf("%d rows, %v", next, err)
		}
	})
}
