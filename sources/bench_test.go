//go:build unix

package sources

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/stages"
)

// benchRow has the columns of the data plane's measurements: 2 % of val are
// missing, lang has 50 values and 1.6 % missing, user is all distinct.
type benchRow struct {
	ID   int64    `parquet:"id"`
	Val  *float64 `parquet:"val,optional"`
	OK   bool     `parquet:"ok"`
	Lang *string  `parquet:"lang,dict,optional"`
	User string   `parquet:"user"`
	TS   int64    `parquet:"ts,timestamp(microsecond)"`
}

const benchRows = 1_000_000

func benchData() []benchRow {
	random := rand.New(rand.NewPCG(1, 2))
	rows := make([]benchRow, benchRows)
	for i := range rows {
		r := &rows[i]
		*r = benchRow{ID: int64(i), OK: i%3 == 0, User: fmt.Sprintf("user-%012d", random.Int64N(1e12)), TS: 1_700_000_000_000_000 + int64(i)*1_000_123}
		if random.IntN(50) > 0 {
			v := float64(random.IntN(2_000_000)-1_000_000) / 1000
			r.Val = &v
		}
		if random.IntN(60) > 0 {
			v := fmt.Sprintf("language-%d", random.IntN(50))
			r.Lang = &v
		}
	}
	return rows
}

// benchmark reads a source to its end with one and with two goroutines.
func benchmark(b *testing.B, s Source, dir, file string) {
	info, err := os.Stat(filepath.Join(dir, file))
	if err != nil {
		b.Fatal(err)
	}
	for _, parallel := range []int{1, 2} {
		b.Run(fmt.Sprint("parallel=", parallel), func(b *testing.B) {
			b.SetBytes(info.Size())
			b.ReportAllocs()
			rows, cpu := int64(0), cpuTime()
			for b.Loop() {
				r, err := s.Open(b.Context(), &stages.Env{Dir: dir, Parallel: parallel}, "")
				if err != nil {
					b.Fatal(err)
				}
				for {
					read, err := r.Next(b.Context())
					if err == io.EOF {
						break
					}
					if err != nil {
						b.Fatal(err)
					}
					rows += read.Frame.NumRows()
				}
				r.Close()
			}
			b.ReportMetric(float64(rows)/(cpuTime()-cpu).Seconds()/1e6, "Mrow/cpu-s")
			b.ReportMetric(float64(rows)/b.Elapsed().Seconds()/1e6, "Mrow/s")
		})
	}
}

func BenchmarkCSV(b *testing.B) {
	for _, quoted := range []bool{false, true} {
		b.Run(fmt.Sprint("quoted=", quoted), func(b *testing.B) {
			var text bytes.Buffer
			quote := ""
			if quoted {
				quote = `"`
			}
			text.WriteString("id,val,ok,lang,user,ts\n")
			for _, r := range benchData() {
				fmt.Fprintf(&text, "%d,", r.ID)
				if r.Val != nil {
					fmt.Fprint(&text, *r.Val)
				}
				fmt.Fprintf(&text, ",%t,", r.OK)
				if r.Lang != nil {
					fmt.Fprintf(&text, "%s%s%s", quote, *r.Lang, quote)
				}
				fmt.Fprintf(&text, ",%s%s%s,%s\n", quote, r.User, quote, time.UnixMicro(r.TS).UTC().Format("2006-01-02T15:04:05.000000Z"))
			}
			env := files(b, "a.csv", text.String())
			benchmark(b, csvOf(CSV{}), env.Dir, "a.csv")
		})
	}
}

// benchParquet writes a.parquet: four row groups.
func benchParquet(b *testing.B) (dir string) {
	dir = b.TempDir()
	o, err := os.Create(filepath.Join(dir, "a.parquet"))
	if err != nil {
		b.Fatal(err)
	}
	w := parquet.NewGenericWriter[benchRow](o, parquet.Compression(&parquet.Snappy))
	rows := benchData()
	for len(rows) > 0 {
		w.Write(rows[:250_000])
		rows = rows[250_000:]
		if err := w.Flush(); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
	o.Close()
	return dir
}

func BenchmarkParquet(b *testing.B) {
	dir := benchParquet(b)
	b.Run("all", func(b *testing.B) { benchmark(b, &Parquet{Path: Paths{"a.parquet"}}, dir, "a.parquet") })
	b.Run("two", func(b *testing.B) {
		benchmark(b, &Parquet{Path: Paths{"a.parquet"}, Columns: []string{"id", "val"}}, dir, "a.parquet")
	})
}

// BenchmarkParquetFar reads a file each of whose reads takes 30 ms, as on S3: in
// the ranges that are asked for there, and as a file on disk is read.
func BenchmarkParquetFar(b *testing.B) {
	dir := benchParquet(b)
	for _, ranges := range []bool{true, false} {
		b.Run(fmt.Sprint("ranges=", ranges), func(b *testing.B) {
			requests := 0
			for b.Loop() {
				f := &far{localFile: localFile{path: filepath.Join(dir, "a.parquet"), name: "a.parquet"}, wait: 30 * time.Millisecond}
				var o opener = f
				if !ranges {
					o = asDisk{f}
				}
				r, err := openFound(b.Context(), &stages.Env{Parallel: 2}, &found{files: []file{{opener: o, name: f.name}}}, nil)
				if err != nil {
					b.Fatal(err)
				}
				for err == nil {
					_, err = r.Next(b.Context())
				}
				if err != io.EOF {
					b.Fatal(err)
				}
				r.Close()
				requests += len(f.requests)
			}
			b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
		})
	}
}

// asDisk is a far file that is read as if it were near.
type asDisk struct{ *far }

func (d asDisk) random(ctx context.Context) (randomReader, int64, error) {
	r, size, err := d.far.random(ctx)
	return struct{ randomReader }{r}, size, err
}
