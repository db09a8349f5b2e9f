//go:build unix

// Command enrich measures a whole job: a request of 50 ms for each of 10,000
// rows, an R function on the answers, and a file of the result. The sides are
// what people would use for it: rpipe, Bento (Benthos as it goes on under a free
// licence) with R as its subprocess, R alone in two ways, and a program written
// in Go for this one job.
package main

import (
	"embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/bench"
)

var (
	rpipe = flag.String("rpipe", "bin/rpipe", "the program to measure")
	bento = flag.String("bento", "bento", "the program beside it")
)

//go:embed *.R *.yaml hand.go
var files embed.FS

const (
	latency  = 50 * time.Millisecond
	inFlight = 64
)

func main() {
	if len(os.Args) == 5 && os.Args[1] == handWord {
		rows, err := strconv.Atoi(os.Args[3])
		if err == nil {
			err = byHand(os.Args[2], rows, os.Args[4])
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	bench.Main(run)
}

func run(s bench.Setting) error {
	j := &job{rows: s.Pick(10_000, 1000), few: s.Pick(200, 20)}
	var err error
	if j.program, err = filepath.Abs(*rpipe); err != nil {
		return err
	}
	if j.self, err = os.Executable(); err != nil {
		return err
	}
	if j.dir, err = os.MkdirTemp("", "bench-enrich-"); err != nil {
		return err
	}
	defer os.RemoveAll(j.dir)
	// The programs run there, beside the scripts.
	if err := os.CopyFS(j.dir, files); err != nil {
		return err
	}
	if err := os.Chdir(j.dir); err != nil {
		return err
	}
	if j.server, err = bench.Serve(latency); err != nil {
		return err
	}
	defer j.server.Close()
	return j.compare(s)
}

func (j *job) compare(s bench.Setting) error {
	ours := j.side("rpipe run", j.pipeline)
	sides := []*bench.Side{ours}
	if path, err := exec.LookPath(*bento); err != nil {
		fmt.Fprintln(os.Stderr, "bench: left out: Bento, which is not installed (github.com/warpstreamlabs/bento); BENTO=PATH names one that is not on the PATH")
	} else {
		sides = append(sides, j.side("Bento, R as its `subprocess`", func() (bench.Process, error) { return j.withBento(path) }))
	}
	if missing := lacking("curl", "jsonlite"); missing != "" {
		fmt.Fprintf(os.Stderr, "bench: left out: R with curl: %s is not installed\n", missing)
	} else {
		sides = append(sides, j.side("R: `curl::multi_run`, then `mclapply`", j.multi))
	}
	if missing := lacking("httr"); missing != "" {
		fmt.Fprintf(os.Stderr, "bench: left out: R with httr: %s is not installed\n", missing)
	} else {
		sides = append(sides, j.side(fmt.Sprintf("R: `httr::GET` in a loop, from %d requests", j.few), j.loop))
	}
	sides = append(sides, j.side("a Go program for this job alone, and one R", j.hand))
	if err := bench.Compare(s, sides...); err != nil {
		return err
	}
	limit := (time.Duration(j.rows) * latency / inFlight).Seconds()
	bench.Print(fmt.Sprintf("%d requests of 50 ms, %d at once, R on the answers, a file: %.2f seconds at least", j.rows, inFlight, limit), bench.Seconds, ours, sides[1:]...)
	cpu := make([]*bench.Side, len(sides))
	for i, side := range sides {
		cpu[i] = side.Then[0]
	}
	bench.Print("Processor time of the same, R's too", bench.Seconds, cpu[0], cpu[1:]...)
	fmt.Printf("From start to end rpipe takes %.2f times the least that the requests allow.\n\n", ours.Median()/limit)
	fmt.Printf("Lines to write beside the R function, less comments: rpipe %d, Bento %d, R with curl %d, R with httr %d, Go %d.\n\n",
		lines("pipeline.yaml"), lines("bento.yaml")+lines("lines.R"), lines("multi.R"), lines("loop.R"), lines("hand.go")+lines("piped.R"))
	return nil
}

// lines is how many of a file's lines say something.
func lines(name string) int {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is part of the program
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	return n
}

// lacking is the first R package of these that is not installed.
func lacking(packages ...string) string {
	for _, p := range packages {
		if exec.Command("Rscript", "--vanilla", "-e", fmt.Sprintf("quit(status = !nzchar(system.file(package = %q)))", p)).Run() != nil {
			return p
		}
	}
	return ""
}
