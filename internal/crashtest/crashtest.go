// Package crashtest kills a real rpipe with -9 at random instants and at named
// places, goes on with its run, and holds that in the end each row is in the
// output, or in the dead letter, once and only once.
//
// The pipeline is the hardest there is: requests that come back out of order
// with a hundredfold spread of latencies, batches that span reads, an R function
// that fails for some rows, files in partitions; and the same with an aggregate.
//
// The tests do a few crashes, those with -tags long some hundreds:
//
//	go test -tags long ./internal/crashtest -v
package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// The input: files of records with consecutive ids.
const (
	files   = 40
	perFile = 150
	rows    = files * perFile
	parts   = 4
)

// bad are the ids for which the R function fails.
func bad(id int64) bool { return id%500 == 499 }

// places are the failpoints that the run passes, and how often it does at least.
var places = []struct {
	name  string
	times int
}{{"part", 12}, {"prepared", 6}, {"committed", 6}, {"published", 2}, {"manifest", 2}, {"finished", 2}, {"cursor", 1}}

// trial is one run with all its crashes.
type trial struct {
	t      testing.TB
	rng    *rand.Rand
	binary string
	dir    string
	env    []string
	s3     *store.Client // nil on a local disk

	file, out, dead, state string // the pipeline, and its places

	atEnd bool // a process was killed when it had done everything but to let go of its locks
}

// newTrial writes the input and the pipeline. s3 is a prefix s3://bucket, or "".
func newTrial(t testing.TB, seed uint64, binary, pipeline, api, s3 string, client *store.Client, config string) *trial {
	dir := t.TempDir()
	c := &trial{
		t: t, rng: rand.New(rand.NewPCG(seed, seed)), binary: binary, dir: dir, s3: client,
		file: filepath.Join(dir, "crash.yaml"), out: filepath.Join(dir, "out"), dead: filepath.Join(dir, "dead"), state: filepath.Join(dir, "state"),
	}
	if s3 != "" {
		c.out, c.dead, c.state = s3+"/out", s3+"/dead", s3+"/state"
	}
	for name, text := range map[string]string{"crash.yaml": pipeline + config, "score.R": scoreR} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "in"), 0o777); err != nil {
		t.Fatal(err)
	}
	for f := range files {
		var b strings.Builder
		for i := range perFile {
			id := f*perFile + i
			fmt.Fprintf(&b, `{"id": %d, "part": "p%d"}`+"\n", id, id%parts)
		}
		if err := os.WriteFile(filepath.Join(dir, "in", fmt.Sprintf("%03d.ndjson", f)), []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	c.env = append(os.Environ(), "api="+api, "out="+c.out, "dead="+c.dead, "state="+c.state, "TMPDIR="+dir)
	return c
}

const scoreR = `score <- function(d) {
  if (any(d$id %% 500 == 499)) stop("no score for some")
  d$score <- d$value * 2 + 1
  d
}
`

// head of both pipelines: an unordered fetch, batches that span reads, R.
const head = `version: 1
name: crash
r: {source: [score.R], workers: {max: 2}}
source: {ndjson: {path: "in/*.ndjson"}}
stages:
  - fetch: {url: "${api}/item/{id}", in_flight: 32, response: {columns: {value: {path: value, type: double}}}}
  - batch: {rows: 333}
  - map: {fun: score, rows: same, on_error: dead_letter, returns: {id: int64, part: string, value: double, score: double}}
`

const rowsTail = `sink: {parquet: {path: "${out}", partition_by: [part], rows_per_file: 400}}
dead_letter: {path: "${dead}"}
state: "${state}"
`

const aggregateTail = `  - aggregate: {by: [part], measures: {n: "count(*)", total: "sum(score)", ids: "sum(id)"}}
sink: {parquet: {path: "${out}"}}
dead_letter: {path: "${dead}"}
state: "${state}"
`

// start begins a process of the run, at a failpoint where place is not "".
func (c *trial) start(place string) (*exec.Cmd, *strings.Builder) {
	cmd := exec.Command(c.binary, "run", "--resume", "--progress", "none", c.file)
	cmd.Env = c.env
	if place != "" {
		cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "RPIPE_FAILPOINT="+place)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd, &said
}

// done reports whether a process ended well: done, with rows in the dead letter.
func (c *trial) done(err error, said string) bool {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true
	case !errors.As(err, &exit):
		c.t.Fatal(err)
	case exit.ExitCode() == 4:
		return true
	case strings.Contains(said, "there is nothing to resume") && strings.Contains(said, "output exists: it holds"):
		c.atEnd = true
		return true // the one before was killed when it had done everything but to say so
	case exit.ExitCode() >= 0: // not killed
		c.t.Fatalf("exit %d:\n%s", exit.ExitCode(), said)
	}
	return false
}

// crash runs the pipeline to its end through n crashes at most, each at a random
// instant or place, and returns how many there were.
func (c *trial) crash(n int) (crashes int) {
	for {
		place := ""
		if crashes < n && c.rng.IntN(2) == 0 {
			p := places[c.rng.IntN(len(places))]
			place = fmt.Sprintf("%s:%d", p.name, 1+c.rng.IntN(p.times))
		}
		cmd, said := c.start(place)
		if place == "" && crashes < n {
			after := 200*time.Millisecond + time.Duration(c.rng.Int64N(int64(1200*time.Millisecond)))
			killer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			killer.Stop()
			if c.done(err, said.String()) {
				return crashes
			}
		} else if c.done(cmd.Wait(), said.String()) {
			return crashes
		}
		crashes++
	}
}

// read returns the rows of a directory of Parquet files as f sees them.
func (c *trial) read(path string, f func(frame.Frame)) {
	env := (&stages.Env{S3: c.s3, Parallel: 1, Log: nil}).For("check")
	defer env.Close()
	source := &sources.Parquet{Path: sources.Paths{path}, Partitions: "off"}
	r, err := source.Open(context.Background(), env, "")
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.t.Fatal(err)
		}
		f(read.Frame)
	}
}

// stop stops a process as a machine that hangs does.
func stop(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGSTOP) }
func wake(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGCONT) }
