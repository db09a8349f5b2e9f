package repo

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/program"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/store"
)

// services are the examples that need a server or standard input: each has a
// test of its own here.
var services = []string{
	"configs/examples/enrich/pipeline.yaml",
	"configs/examples/nightly/pipeline.yaml",
	"configs/examples/stream/pipeline.yaml",
}

// at is an object's place.
func at(t *testing.T, url string) store.Location {
	t.Helper()
	l, err := store.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type runReport struct {
	Outputs []struct {
		Files []struct {
			Path string
			Rows int64
		}
	}
	DeadLetters int64 `json:"dead_letters"`
}

func (r *runReport) rows() (n int64) {
	for _, o := range r.Outputs {
		for _, f := range o.Files {
			n += f.Rows
		}
	}
	return n
}

// example copies the examples and returns where the pipeline's directory is.
func example(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "configs/examples", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// runs runs a pipeline, which must end with that status, and returns its report.
func runs(t *testing.T, dir string, stdin io.Reader, status int, env []string, args ...string) *runReport {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program.Path, append([]string{"run", "pipeline.yaml", "--progress", "none", "--json"}, args...)...)
	cmd.Dir, cmd.Stdin = dir, stdin
	cmd.Env = append(append(os.Environ(), "TMPDIR="+t.TempDir()), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if code := cmd.ProcessState.ExitCode(); code != status {
		t.Fatalf("exit %d, want %d (%v):\n%s", code, status, err, stderr.String())
	}
	r := new(runReport)
	if err := json.Unmarshal(out, r); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return r
}

// Of 500 orders 5 have an answer that is no JSON; 55 are refunded, of which none
// is among those.
func TestTheEnrichExampleBearsAnAPIThatMisbehaves(t *testing.T) {
	dir := example(t, "enrich")
	server := filepath.Join(t.TempDir(), "api")
	build := exec.Command("go", "build", "-o", server, "./configs/examples/enrich/api")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), server, "-listen", "127.0.0.1:0")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	r := runs(t, dir, nil, 4, nil, "-v", "api="+strings.TrimSpace(url))
	paid, broken := int64(0), int64(0)
	for id := 1; id <= 500; id++ {
		switch {
		case id%100 == 50:
			broken++
		case id%9 != 0:
			paid++
		}
	}
	if r.DeadLetters != broken || r.rows() != paid {
		t.Errorf("%d rows and %d dead letters; want %d and %d", r.rows(), r.DeadLetters, paid, broken)
	}
}

func TestTheNightlyExampleReplacesItsOwnDayOnly(t *testing.T) {
	dir := example(t, "nightly")
	s := s3test.Start(t)
	bucket := s.Bucket(t)
	client := s.Client(t)
	for _, day := range []string{"2026-11-01", "2026-11-02"} {
		data, err := os.ReadFile(filepath.Join(dir, "data", day+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Put(t.Context(), at(t, "s3://"+bucket+"/in/"+day+".csv"), data, store.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	night := func(day string) int64 {
		return runs(t, dir, nil, 0, s.Env(), "--resume", "-v", "day="+day, "-v", "bucket=s3://"+bucket, "-v", "endpoint="+s.Config().Endpoint).rows()
	}
	first, second := night("2026-11-01"), night("2026-11-02")
	if first == 0 || second == 0 {
		t.Fatalf("%d and %d rows", first, second)
	}
	if again := night("2026-11-01"); again != first {
		t.Errorf("the first day again has %d rows, not %d", again, first)
	}
	days := map[string]int{}
	for o, err := range client.List(t.Context(), at(t, "s3://"+bucket+"/out/sales/")) {
		if err != nil {
			t.Fatal(err)
		}
		for _, day := range []string{"2026-11-01", "2026-11-02"} {
			if strings.Contains(o.Key, "day="+day+"/") {
				days[day]++
			}
		}
	}
	if len(days) != 2 || days["2026-11-01"] != 1 || days["2026-11-02"] != 1 {
		t.Errorf("files by day: %v", days)
	}
}

func TestTheStreamExampleWritesEachWindowOnce(t *testing.T) {
	dir := example(t, "stream")
	var log strings.Builder
	for i := range 600 { // ten minutes, a request a second
		fmt.Fprintf(&log, `{"at": "2026-11-01T12:%02d:%02dZ", "path": "/p%d", "status": %d, "ms": %d.5}`+"\n", i/60, i%60, i%7, 200+300*(i%2), i)
	}
	log.WriteString(`{"at": "2026-11-01T12:01:00Z", "path": "/late", "status": 200, "ms": 1.0}` + "\n")
	r := runs(t, dir, strings.NewReader(log.String()), 4, nil)
	if r.rows() != 20 || r.DeadLetters != 1 {
		t.Errorf("%d rows of ten minutes with two statuses, %d dead letters", r.rows(), r.DeadLetters)
	}
}
