package sinks

import (
	"fmt"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// sixColumns makes n frames of frame.Rows rows: id, val (2 % NA), ok, lang (50
// values, 1.6 % NA), user (all distinct, 17 bytes), ts.
func sixColumns(t testing.TB, n int) []frame.Frame {
	t.Helper()
	s := arrow.NewSchema([]arrow.Field{
		typed("id", arrow.PrimitiveTypes.Int64), typed("val", arrow.PrimitiveTypes.Float64),
		typed("ok", arrow.FixedWidthTypes.Boolean), typed("lang", arrow.BinaryTypes.String),
		typed("user", arrow.BinaryTypes.String), typed("ts", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}),
	}, nil)
	b := frame.NewBuilder(s)
	var frames []frame.Frame
	x := uint64(1)
	for k := range n {
		for i := range frame.Rows {
			x = x*6364136223846793005 + 1442695040888963407
			id := k*frame.Rows + i
			b.Column(0).AppendInt64(int64(id))
			if x>>40%50 == 0 {
				b.Column(1).AppendNull()
			} else {
				b.Column(1).AppendDouble(float64(x>>32%2000000)/1000 - 1000)
			}
			b.Column(2).AppendBool(x>>60&1 == 0)
			if x>>33%64 == 0 {
				b.Column(3).AppendNull()
			} else {
				b.Column(3).AppendString(fmt.Sprintf("language-%02d", x>>20%50))
			}
			b.Column(4).AppendString(fmt.Sprintf("user-%012x", x>>16))
			b.Column(5).AppendInt64(1_700_000_000_000_000 + int64(id)*1000 + int64(x>>50))
		}
		f, err := b.Frame()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	return frames
}

// BenchmarkParquet writes 1e6 rows of six columns to nowhere.
func BenchmarkParquet(b *testing.B) {
	frames := sixColumns(b, 98)
	for _, compression := range []string{"snappy", "zstd", "none"} {
		for _, parallel := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/goroutines=%d", compression, parallel), func(b *testing.B) {
				fm := newParquetFormat(&Parquet{Compression: compression}, parallel, new(stages.Env).Pace)
				b.ReportAllocs()
				start := cpu()
				for b.Loop() {
					e, err := fm.open(io.Discard, frames[0].Schema(), frames[:10])
					if err != nil {
						b.Fatal(err)
					}
					for i := 0; i < len(frames); i += 10 {
						if err := e.encode(frames[i:min(i+10, len(frames))]); err != nil {
							b.Fatal(err)
						}
					}
					if err := e.close(); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(e.size())/1e6, "MB")
				}
				millions := float64(len(frames)*frame.Rows*b.N) / 1e6
				b.ReportMetric(millions/b.Elapsed().Seconds(), "Mrows/s")
				b.ReportMetric((cpu()-start).Seconds()/millions, "cpu-s/Mrow")
			})
		}
	}
}

// BenchmarkSinks writes 1e5 rows of six columns through the whole protocol.
func BenchmarkSinks(b *testing.B) {
	frames := sixColumns(b, 10)
	for _, s := range fileSinks {
		for _, by := range [][]string{nil, {"lang"}} {
			name := s.name
			if by != nil {
				name += " in 51 partitions"
			}
			b.Run(name, func(b *testing.B) {
				env := testEnv(b, "run")
				for i := 0; b.Loop(); i++ {
					var batches []*stages.Rows
					for _, f := range frames {
						batches = append(batches, &stages.Rows{Value: f, Rows: int(f.NumRows())})
					}
					commit(b, s.make(fmt.Sprint("out", i), Files{PartitionBy: by}), env, batches...)
				}
				b.ReportMetric(float64(len(frames)*frame.Rows*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
			})
		}
	}
}
