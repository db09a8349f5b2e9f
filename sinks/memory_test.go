package sinks

import (
	"runtime"
	"testing"

	"github.com/rpipe-dev/rpipe/frame"
)

// What a writer holds does not grow with what it has written.
func TestMemoryIsFlat(t *testing.T) {
	batch := frame.Slice(sixColumns(t, 1)[0], 0, 2000)
	peak := func(batches int, s Sink) (most uint64) {
		w := open(t, s, testEnv(t, "run-1"))
		onDisk(w).create = createUnsynced
		for i := range batches {
			b := rowsOf(batch)
			if err := w.Write(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if i%10 == 9 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
		return most
	}
	f := func(name string, s func() Sink) {
		t.Helper()
		small := peak(20, s())
		large := peak(200, s())
		if large > small+small/4+2<<20 {
			t.Errorf("%s: %d KiB for 40,000 rows, %d KiB for 400,000", name, small>>10, large>>10)
		}
	}
	f("parquet", func() Sink { return &Parquet{Path: "out", Compression: "snappy", RowGroup: RowGroup{Rows: 10_000}} })
	f("parquet in partitions", func() Sink {
		return &Parquet{Path: "out", Compression: "snappy", RowGroup: RowGroup{Rows: 500}, Files: Files{PartitionBy: []string{"lang"}}}
	})
	f("csv", func() Sink { return &CSV{Path: "out", Compression: "gzip"} })
	f("ndjson", func() Sink { return &NDJSON{Path: "out", Files: Files{RowsPerFile: 15_000}} })
}
