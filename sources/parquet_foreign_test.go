package sources

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// pandas and pyarrow write a column of nothing but None as one without a type.
// testdata/null-column.parquet is pyarrow 26's:
//
//	pq.write_table(pa.table({'id': [1, 2, 3, 4], 'nothing': pa.nulls(4)}), …)
func TestParquetColumnWithoutAType(t *testing.T) {
	f, err := Head(t.Context(), filepath.Join("testdata", "null-column.parquet"), 3)
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != 3 || f.Column(1).NullN() != 3 {
		t.Errorf("%d rows, %d of them missing", f.NumRows(), f.Column(1).NullN())
	}
	if u, _ := f.Schema().Field(1).Metadata.GetValue(frame.MetaUnknown); u != "1" {
		t.Error("the column has a type that nobody gave it")
	}
}

// A decimal is a double where that loses no digit, and an error elsewhere.
func TestParquetDecimals(t *testing.T) {
	type row struct {
		D int64 `parquet:"d,decimal(2:18)"`
	}
	path := filepath.Join(t.TempDir(), "d.parquet")
	writeParquet(t, path, []row{{-125}, {1 << 53}})
	f, err := Head(t.Context(), path, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Column(0).ValueStr(0); got != "-1.25" {
		t.Error(got)
	}
	writeParquet(t, path, []row{{1<<53 + 1}, {-1<<53 - 2}})
	if _, err := Head(t.Context(), path, 2); err == nil || !strings.Contains(err.Error(), "more digits than a double can hold") {
		t.Error(err)
	}
}
