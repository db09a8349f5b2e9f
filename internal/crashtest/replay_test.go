package crashtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/internal/program"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// replayPipeline fails for the ids that step divides. Its dead letter has several
// files, of which each replay makes new ones, and its output two sinks.
const replayPipeline = `version: 1
name: again
source: {range: {rows: 900, from: 1, column: id}}
stages:
  - batch: {rows: 50}
  - derive: {twice: "CASE WHEN id % ${step:7} = 0 THEN CAST('x' || id AS BIGINT) ELSE id * 2 END", part: "id % 3", on_error: dead_letter}
sinks:
  - {name: even, when: "id % 2 = 0", parquet: {path: "${out}/even", partition_by: [part]}}
  - {name: odd, when: otherwise, parquet: {path: "${out}/odd", if_exists: replace}}
dead_letter: {path: "${dead}"}
state: "${state}"
`

const replayRows = 900

// newReplayTrial runs the pipeline, so that rows are in the dead letter.
func newReplayTrial(t *testing.T, s3 string, client *store.Client, config string) *trial {
	dir := t.TempDir()
	c := &trial{
		t: t, binary: program.Path, dir: dir, s3: client,
		file: filepath.Join(dir, "again.yaml"), out: filepath.Join(dir, "out"), dead: filepath.Join(dir, "dead"), state: filepath.Join(dir, "state"),
	}
	if s3 != "" {
		c.out, c.dead, c.state = s3+"/out", s3+"/dead", s3+"/state"
	}
	if err := os.WriteFile(c.file, []byte(replayPipeline+config), 0o666); err != nil {
		t.Fatal(err)
	}
	c.env = append(os.Environ(), "out="+c.out, "dead="+c.dead, "state="+c.state, "TMPDIR="+dir)
	c.must(4, "run")
	return c
}

// command runs rpipe to its end, or to its death at a place.
func (c *trial) command(place string, args ...string) (code int, said string) {
	cmd := exec.Command(c.binary, append(args, "--progress", "none", c.file)...)
	cmd.Env = append(c.env[:len(c.env):len(c.env)], "RPIPE_FAILPOINT="+place)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// must runs rpipe, waiting until a process that died has lost its lease on S3.
func (c *trial) must(want int, args ...string) string {
	began := time.Now()
	for {
		code, said := c.command("", args...)
		if code == want {
			return said
		}
		waits := c.s3 != nil && strings.Contains(said, "another run is writing here")
		if !waits || time.Since(began) > 30*time.Second {
			c.t.Fatalf("rpipe %v: exit %d, not %d:\n%s", args, code, want, said)
		}
	}
}

// whereRows counts each id in the output and in the dead letter.
func (c *trial) whereRows() (out, dead map[int64]int) {
	out, dead = map[int64]int{}, map[int64]int{}
	count := func(in map[int64]int) func(f frame.Frame) {
		return func(f frame.Frame) {
			col, _, _ := frame.Lookup(f, "id")
			for i := range int(f.NumRows()) {
				switch a := col.(type) {
				case *array.Int64:
					in[a.Value(i)]++
				case *array.Int32:
					in[int64(a.Value(i))]++
				}
			}
		}
	}
	c.read(c.out+"/even", count(out))
	c.read(c.out+"/odd", count(out))
	env := (&stages.Env{S3: c.s3, Dir: c.dir}).For("check")
	defer env.Close()
	files, err := (&sinks.DeadLetter{Path: c.dead}).Files(c.t.Context(), env)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range files {
		c.read(f.File, count(dead))
	}
	return out, dead
}

// checkOnce holds that the dead letter has the ids that step divides, the output
// all others, and each of them once.
func (c *trial) checkOnce(t *testing.T, step int64) {
	t.Helper()
	out, dead := c.whereRows()
	for id := int64(1); id <= replayRows; id++ {
		wantDead := 0
		if id%step == 0 {
			wantDead = 1
		}
		if out[id] != 1-wantDead || dead[id] != wantDead {
			t.Errorf("id %d: %d times in the output, %d times in the dead letter", id, out[id], dead[id])
		}
	}
}

// replayPlaces are the failpoints that a replay passes.
func replayPlaces() (all []string) {
	for _, p := range []struct {
		name  string
		times int
	}{{"prepared", 1}, {"committed", 1}, {"part", 4}, {"published", 3}, {"manifest", 3}, {"finished", 3}, {"cursor", 1}} {
		for n := range p.times {
			if times > 1 || n == p.times/2 { // all of them with -tags long
				all = append(all, fmt.Sprintf("%s:%d", p.name, n+1))
			}
		}
	}
	return all
}

func TestAReplayMovesEachRowOnceWhereverItDies(t *testing.T) {
	for _, place := range replayPlaces() {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			c := newReplayTrial(t, "", nil, "")
			c.checkOnce(t, 7)
			c.env = append(c.env, "step=21")
			if code, said := c.command(place, "dlq", "replay"); code != -1 {
				t.Fatalf("it was not killed: exit %d\n%s", code, said)
			}
			out, dead := c.whereRows()
			for id := int64(1); id <= replayRows; id++ {
				if out[id]+dead[id] == 0 || out[id] > 1 || dead[id] > 1 {
					t.Fatalf("after the crash id %d is %d times in the output and %d times in the dead letter", id, out[id], dead[id])
				}
			}
			if place != "prepared:1" {
				if said := c.must(1, "run"); !strings.Contains(said, "rpipe dlq replay goes on with it") {
					t.Errorf("a run beside the unfinished replay said:\n%s", said)
				}
			}
			c.must(4, "dlq", "replay")
			c.checkOnce(t, 21)
			c.env = append(c.env, "step=100000")
			c.must(0, "dlq", "replay")
			c.checkOnce(t, 100000)
			c.checkNothingLeft(t)
		})
	}
}

func TestOnS3AReplayMovesEachRowOnceWhereverItDies(t *testing.T) {
	s := s3test.Start(t)
	for _, place := range []string{"committed:1", "finished:2"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			bucket := s.Bucket(t)
			c := newReplayTrial(t, "s3://"+bucket, s.Client(t), s3Config(s))
			c.env = append(c.env, "step=21")
			if code, said := c.command(place, "dlq", "replay"); code != -1 {
				t.Fatalf("it was not killed: exit %d\n%s", code, said)
			}
			c.must(4, "dlq", "replay")
			c.checkOnce(t, 21)
			c.env = append(c.env, "step=100000")
			c.must(0, "dlq", "replay")
			c.checkOnce(t, 100000)
			c.checkNothingLeft(t)
			if n := s.OpenUploads(t, bucket); n != 0 {
				t.Errorf("%d uploads are left open", n)
			}
		})
	}
}
