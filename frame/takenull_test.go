package frame

import (
	"testing"

	"pgregory.net/rapid"
)

func TestTakeOrNullTakesRowsAndNulls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFrame(t, ROptions{})
		n := int(f.NumRows())
		rows := rapid.SliceOfN(rapid.Int32Range(NoRow, int32(n)-1), 0, 30).Draw(t, "rows")
		got, err := TakeOrNull(f, rows)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Schema().Equal(f.Schema()) || int(got.NumRows()) != len(rows) {
			t.Fatalf("%d rows of %v", got.NumRows(), got.Schema())
		}
		for k := range int(f.NumCols()) {
			nulls := 0
			for i, r := range rows {
				want := "(null)"
				if r != NoRow {
					want = f.Column(k).ValueStr(int(r))
				}
				if got.Column(k).IsNull(i) {
					nulls++
				}
				if g := got.Column(k).ValueStr(i); g != want {
					t.Fatalf("column %d, row %d: %s, want %s", k, i, g, want)
				}
			}
			if got.Column(k).NullN() != nulls {
				t.Fatalf("column %d says %d nulls and has %d", k, got.Column(k).NullN(), nulls)
			}
		}
	})
}
