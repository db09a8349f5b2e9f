package sinks

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

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

// On S3 each open file holds parts of an upload: there are as many as the memory
// allows, however many partitions there are.
func TestMemoryIsBoundedOnS3(t *testing.T) {
	const memory = 64 << 20
	g := onS3(t, ".csv", func(path string, l Files) Sink { return &CSV{Path: path, Files: l} })
	batch := func(n int) frame.Frame {
		b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
			{Name: "p", Type: arrow.PrimitiveTypes.Int32, Nullable: true},
			{Name: "x", Type: arrow.BinaryTypes.String, Nullable: true},
		}, nil))
		for i := range n {
			b.Column(0).AppendInt32(int32(i % 40))
			b.Column(1).AppendString("0123456789012345678901234567890123456789012345678901234567890123" + strconv.Itoa(i))
		}
		return must(b.Frame())(t)
	}(10_000)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	f := func(name string, l Files, files int) {
		t.Helper()
		env := g.env(t, "run-1")
		env.Memory = memory
		before := heap()
		w := open(t, g.sink("out", l), env)
		most := uint64(0)
		for i := range 60 { // 42 MB
			check(t, w.Write(t.Context(), rowsOf(batch)))
			if i%6 == 5 {
				most = max(most, heap())
			}
		}
		if open := w.(*fileWriter).parts.open; open < files {
			t.Errorf("%s: only %d files are open", name, open)
		}
		if most > before+memory+memory/4 {
			t.Errorf("%s: %d MiB, and memory is %d MiB", name, (most-before)>>20, memory>>20)
		}
		check(t, w.Abort())
		if uploads(t, env) > 0 {
			t.Errorf("%s: uploads stay", name)
		}
	}
	f("one file", Files{MaxOpen: 64}, 1)
	f("partitions", Files{MaxOpen: 64, PartitionBy: []string{"p"}}, 5)
}
