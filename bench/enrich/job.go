//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/bench"
)

// job is what all sides do.
type job struct {
	program, self, dir string
	server             *bench.Server
	rows               int
	few                int // rows of a side that is too slow for all
}

// side is a way to do the job, with its time and then its processor time.
func (j *job) side(name string, do func() (bench.Process, error)) *bench.Side {
	var last bench.Process
	cpu := &bench.Side{Name: name, Run: func() (float64, error) { return last.CPU.Seconds(), nil }}
	return &bench.Side{Name: name, Then: []*bench.Side{cpu}, Run: func() (v float64, err error) {
		last, err = do()
		return last.Took.Seconds(), err
	}}
}

// execute runs a program that makes so many requests.
func (j *job) execute(requests int, program string, args ...string) (bench.Process, error) {
	if err := os.RemoveAll("out"); err != nil {
		return bench.Process{}, err
	}
	if err := os.Mkdir("out", 0o755); err != nil {
		return bench.Process{}, err
	}
	j.server.Forget()
	p, err := bench.Execute(program, args...)
	if err != nil {
		return p, err
	}
	if n := j.server.Requests(); n != requests {
		return p, fmt.Errorf("%d requests were made for %d rows", n, requests)
	}
	return p, nil
}

// pipeline is rpipe's way.
func (j *job) pipeline() (bench.Process, error) {
	p, err := j.execute(j.rows, j.program, "run", "pipeline.yaml", "--progress", "none",
		"-v", "url="+j.server.URL, "-v", "rows="+strconv.Itoa(j.rows))
	if err != nil {
		return p, err
	}
	return p, j.wrote()
}

func (j *job) withBento(program string) (bench.Process, error) {
	os.Setenv("URL", j.server.URL)
	os.Setenv("ROWS", strconv.Itoa(j.rows))
	p, err := j.execute(j.rows, program, "-c", "bento.yaml")
	if err != nil {
		return p, err
	}
	return p, j.wrote()
}

func (j *job) hand() (bench.Process, error) {
	p, err := j.execute(j.rows, j.self, handWord, j.server.URL, strconv.Itoa(j.rows), "out/rows.parquet")
	if err != nil {
		return p, err
	}
	return p, j.wrote()
}

func (j *job) multi() (bench.Process, error) { return j.script("multi.R", j.rows) }

// loop does some of the rows: all of them would take ten minutes. What it does
// first and last is in both runs, so that their difference is that of requests
// and of the function alone.
func (j *job) loop() (bench.Process, error) {
	short, err := j.script("loop.R", j.few/10)
	if err != nil {
		return short, err
	}
	long, err := j.script("loop.R", j.few)
	if err != nil {
		return long, err
	}
	whole := func(short, long time.Duration) time.Duration {
		perRow := float64(long-short) / float64(j.few-j.few/10)
		return long + time.Duration(perRow*float64(j.rows-j.few))
	}
	return bench.Process{Took: whole(short.Took, long.Took), CPU: whole(short.CPU, long.CPU)}, nil
}

func (j *job) script(name string, rows int) (bench.Process, error) {
	p, err := j.execute(rows, "Rscript", "--vanilla", name, j.server.URL, strconv.Itoa(rows), "out/rows.rds")
	if err != nil {
		return p, err
	}
	info, err := os.Stat("out/rows.rds")
	if err == nil && info.Size() == 0 {
		err = fmt.Errorf("%s wrote nothing", name)
	}
	return p, err
}

// wrote checks that all rows are in the Parquet files of the output.
func (j *job) wrote() error {
	names, err := filepath.Glob("out/*.parquet")
	if err != nil {
		return err
	}
	var rows int64
	for _, name := range names {
		n, err := rowsOf(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows += n
	}
	if rows != int64(j.rows) {
		return fmt.Errorf("%d rows in %d files, of %d", rows, len(names), j.rows)
	}
	return nil
}

func rowsOf(name string) (int64, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return 0, err
	}
	return p.NumRows(), nil
}
