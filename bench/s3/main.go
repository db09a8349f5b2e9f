//go:build unix

// Command s3 measures generated rows written to S3 as one Parquet object: the
// memory that rpipe takes for 1, 4 and 16 GB of rows, and its time beside the
// same rows to the local disk and an upload of the finished file alone. The
// server is that of the tests, on the same machine.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/bench"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

var rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")

func main() { bench.Main(run) }

// mostGrown is how much more memory 16 GB may take than 1 GB. The peak is that
// of a garbage-collected heap, which no two runs have in common.
const mostGrown = 1.25

func run(s bench.Setting) error {
	program, err := filepath.Abs(*rpipe)
	if err != nil {
		return err
	}
	server, err := s3test.Launch("versitygw") // ends with this process
	if err != nil {
		return err
	}
	bucket, err := server.MakeBucket()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "bench-s3-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	client := store.New(server.Config())
	defer client.Close()
	w := &writer{program: program, dir: dir, client: client, bucket: store.Location{Bucket: bucket}}

	megabytes := s.Pick(1000, 4)
	small := newSize(w, megabytes)
	if err := bench.Compare(s, small.remote.took, small.local.took, small.upload.took); err != nil {
		return err
	}
	bench.Print(fmt.Sprintf("%d MB of rows to one object of %.0f MB", megabytes, float64(w.object)/1e6),
		bench.Seconds, small.remote.took, small.local.took, small.upload.took)
	fmt.Printf("| rows | object | to S3 | peak memory | to the disk | peak memory | the upload alone |\n")
	fmt.Printf("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n")
	small.print(w.object)
	large := small
	for _, times := range []int{4, 16} {
		large = newSize(w, megabytes*times)
		// Once, and without a round that does not count: minutes each.
		if err := bench.Once(large.remote.took, large.local.took, large.upload.took); err != nil {
			return err
		}
		large.print(w.object)
	}
	growth := large.remote.peak.Median() / small.remote.peak.Median()
	met := "met"
	if growth > mostGrown {
		met = "**missed**"
	}
	fmt.Printf("\nSixteen times the rows take %.2f times the memory on the way to S3 (bar: at most %.2f, %s).\n\n", growth, mostGrown, met)
	return nil
}

// size is the sides for one size of input.
type size struct {
	megabytes             int
	remote, local, upload way
}

// way is one way to write, and the memory that it took.
type way struct{ took, peak *bench.Side }

func newSize(w *writer, megabytes int) *size {
	side := func(name string, write func(megabytes int) (bench.Process, error)) way {
		var last bench.Process
		peak := &bench.Side{Run: func() (float64, error) { return last.Peak, nil }}
		return way{peak: peak, took: &bench.Side{Name: name, Then: []*bench.Side{peak}, Run: func() (v float64, err error) {
			last, err = write(megabytes)
			return last.Took.Seconds(), err
		}}}
	}
	return &size{
		megabytes: megabytes,
		remote:    side("rpipe run, to S3", w.remote),
		local:     side("rpipe run, to the local disk", w.local),
		upload:    side("rpipe's `store` alone uploads the finished file", w.upload),
	}
}

func (z *size) print(object int64) {
	fmt.Printf("| %.3g GB | %.0f MB | %.1f s, %.0f MB/s | **%.0f MB** | %.1f s | %.0f MB | %.1f s |\n",
		float64(z.megabytes)/1e3, float64(object)/1e6,
		z.remote.took.Median(), float64(z.megabytes)/z.remote.took.Median(), z.remote.peak.Median()/1e6,
		z.local.took.Median(), z.local.peak.Median()/1e6, z.upload.took.Median())
}
