//go:build cgo

package duckdb

import (
	"context"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

func open(t testing.TB) *DB {
	t.Helper()
	d, err := Open(Options{Temp: t.TempDir(), Memory: 256 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// flights has columns of several types; every seventh delay is null.
func flights(n int) frame.Frame {
	s := arrow.NewSchema([]arrow.Field{
		{Name: "carrier", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "distance", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
		{Name: "air_time", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "dep_delay", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "flight", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "late", Type: arrow.FixedWidthTypes.Boolean, Nullable: true},
	}, nil)
	b := array.NewRecordBuilder(frame.Allocator, s)
	for i := range n {
		b.Field(0).(*array.StringBuilder).Append([]string{"UA", "AA", "B6", "a carrier of a long name"}[i%4])
		b.Field(1).(*array.Int32Builder).Append(int32(i % 300))
		b.Field(2).(*array.Float64Builder).Append(float64(i%100) + 1)
		if i%7 == 0 {
			b.Field(3).AppendNull()
		} else {
			b.Field(3).(*array.Float64Builder).Append(float64(i%50) - 10)
		}
		b.Field(4).(*array.Int64Builder).Append(int64(i))
		b.Field(5).(*array.BooleanBuilder).Append(i%3 == 0)
	}
	return b.NewRecordBatch()
}

func TestCondition(t *testing.T) {
	d := open(t)
	f := flights(5000)
	x, err := d.Condition(context.Background(), f.Schema(), "dep_delay IS NOT NULL AND distance > 100 -- far")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if got := strings.Join(x.Uses(), " "); got != "distance dep_delay" && got != "dep_delay distance" {
		t.Errorf("uses %q", got)
	}
	for range 3 {
		out, err := x.Eval(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		got := out.Column(0).(*array.Boolean)
		if got.NullN() != 0 {
			t.Error("a condition is null")
		}
		for i := range 5000 {
			if want := i%7 != 0 && i%300 > 100; got.Value(i) != want {
				t.Fatalf("row %d: %v, want %v", i, got.Value(i), want)
			}
		}
	}
}
