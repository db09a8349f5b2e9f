package tables

import (
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// Two keys of one hash are as good as never seen, so that a test must pretend:
// whatever the hash has found, the right row comes out.
func TestEqualHashesAreNotEqualKeys(t *testing.T) {
	f := table(schema("n int64", "s string"), "1 a", "2 b", "3 c", "3 d", "4 d")
	for _, matches := range [][]match{{matchText}, {matchWhole, matchText}} {
		columns := []arrow.Array{f.Column(0), f.Column(1)}[2-len(matches):]
		x := newIndex(columns, matches, 5)
		k := keysOf(columns, matches, x.seed, 5)
		found := []int32{4, 0, frame.NoRow, 0, 3}
		for i := range x.keys.columns {
			x.confirm(&x.keys.columns[i], &k.columns[i], k, found)
		}
		want := []int32{0, 1, frame.NoRow, 3, 4}
		if len(matches) == 1 { // d stands twice
			want[4] = 3
		}
		if !slices.Equal(found, want) {
			t.Errorf("%v: found %v, want %v", matches, found, want)
		}
	}
}

// A full table has clusters of slots, which go round its end.
func TestIndexFindsEveryRow(t *testing.T) {
	const rows = 20000
	b := frame.NewBuilderSize(schema("n int64"), rows)
	for i := range rows {
		b.Column(0).AppendInt64(int64(i) << 32)
	}
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	x := newIndex(f.Columns(), []match{matchWhole}, rows)
	for i, row := range x.look(f.Columns(), rows) {
		if int(row) != i {
			t.Fatalf("row %d is found as %d", i, row)
		}
	}
	if x.shared != 0 || x.bytes() != indexBytes(rows, []match{matchWhole}) {
		t.Errorf("%d shared keys, %d bytes", x.shared, x.bytes())
	}
}
