package sources

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rpipe-dev/rpipe/stages"
)

// BenchmarkPartitions reads one Parquet file of 500,000 rows as it is, and with
// two columns that its directories name.
func BenchmarkPartitions(b *testing.B) {
	dir := b.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "in", "carrier=AA", "month=5"), 0o777); err != nil {
		b.Fatal(err)
	}
	const rows = 500_000
	writeParquet(b, filepath.Join(dir, "in", "carrier=AA", "month=5", "a.parquet"), manyRows(rows))
	for _, mode := range []string{"off", "auto"} {
		b.Run(fmt.Sprint("partitions=", mode), func(b *testing.B) {
			for b.Loop() {
				n, err := rowsOf(b, &Parquet{Path: Paths{"in"}, Partitions: mode}, &stages.Env{Dir: dir, Parallel: 2})
				if n != rows || err != nil {
					b.Fatal(n, err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}
