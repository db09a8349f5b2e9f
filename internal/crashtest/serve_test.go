package crashtest

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/program"
)

// served is a directory with a pipeline that rpipe serve runs.
type served struct {
	t   *testing.T
	dir string
}

// newServed writes a pipeline of 300 rows that have their time and their run.
func newServed(t *testing.T, tail string) *served {
	s := &served{t, t.TempDir()}
	s.write("pipelines/p.yaml", `version: 1
source: {range: {to: 300, column: i}}
stages:
  - derive: {day: "'${run.scheduled_time}'", run: "'${run.id}'", part: "i % 2"}
`+tail)
	s.write("rpipe.yaml", `listen: ./rpipe.sock
data: data
workers: {none: true}
pipelines: {dir: pipelines, watch: false}
`)
	return s
}

func (s *served) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		s.t.Fatal(err)
	}
}

// daemon is a server.
type daemon struct {
	cmd  *exec.Cmd
	said strings.Builder
	done chan struct{} // closed when it has ended
}

// serve starts a server, which dies at a place where that is not "".
func (s *served) serve(place string) *daemon {
	s.t.Helper()
	d := &daemon{cmd: exec.Command(program.Path, "serve", "rpipe.yaml"), done: make(chan struct{})}
	d.cmd.Dir, d.cmd.Stdout, d.cmd.Stderr = s.dir, &d.said, &d.said
	d.cmd.Env = append(os.Environ(), "RPIPE_FAILPOINT="+place)
	if err := d.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		d.cmd.Wait() //nolint:errcheck // it is killed
	}()
	s.t.Cleanup(d.kill)
	s.await(d, "answers", func() bool { _, err := s.rpipe("schedule", "list"); return err == nil })
	return d
}

func (d *daemon) kill() {
	d.cmd.Process.Kill() //nolint:errcheck // it may have ended
	<-d.done
}

// rpipe asks the server.
func (s *served) rpipe(args ...string) (string, error) {
	cmd := exec.Command(program.Path, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "RPIPE_DATA="+filepath.Join(s.dir, "data"))
	out, err := cmd.Output()
	return string(out), err
}

func (s *served) await(d *daemon, what string, f func() bool) {
	s.t.Helper()
	end := time.After(time.Minute)
	for !f() {
		select {
		case <-d.done:
			s.t.Fatalf("it has ended before it %s:\n%s", what, d.said.String())
		case <-end:
			s.t.Fatalf("not within a minute: it %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// settled waits until no run is open, and is their states, newest first.
func (s *served) settled(d *daemon) (states []string) {
	s.t.Helper()
	s.await(d, "brings its runs to an end", func() bool {
		out, err := s.rpipe("schedule", "history", "p", "--json")
		var runs []struct {
			State string  `json:"state"`
			Ended *string `json:"ended"`
			Error string  `json:"error"`
		}
		if err != nil || json.Unmarshal([]byte(out), &runs) != nil {
			return false
		}
		states = nil
		for _, r := range runs {
			if r.Ended == nil {
				return false
			}
			states = append(states, strings.TrimSpace(r.State+" "+r.Error))
		}
		return true
	})
	return states
}

// rows are how often each row is in the files of a directory that a reader sees. Nothing
// else is there.
func (s *served) rows(out string) map[string]int {
	s.t.Helper()
	n := map[string]int{}
	err := filepath.WalkDir(filepath.Join(s.dir, out), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if filepath.Ext(path) != ".csv" {
			if strings.HasPrefix(d.Name(), ".") && !strings.HasSuffix(d.Name(), ".manifest.json") {
				s.t.Errorf("left behind: %s", path)
			}
			return nil
		}
		text, err := os.ReadFile(path)
		for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
			n[filepath.Dir(path)+" "+line]++ // with the partition
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// TestARunOfAServerIsThereOnceWhateverTheCrash: the server dies as a run publishes what it
// has, and before it is written down that the run has ended. The next start calls the same
// run again, which leaves each row of its time there once, and those of another time alone.
func TestARunOfAServerIsThereOnceWhateverTheCrash(t *testing.T) {
	const other, day = "2026-03-07T01:30:00Z", "2026-03-08T01:30:00Z"
	for name, c := range map[string]struct {
		tail   string
		places []string
		outs   []string // directories of output
		runs   int      // whose rows stay: 0 is all
		noTime bool
	}{
		"at once":    {"sink: {csv: {path: ../out, if_exists: append, rows_per_file: 100}}\n", []string{"part:2", "manifest", "ended"}, []string{"out"}, 2, false},
		"for none":   {"sink: {csv: {path: ../out, if_exists: append, rows_per_file: 100}}\n", []string{"part:2", "manifest", "ended"}, []string{"out"}, 0, true},
		"partitions": {"sink: {csv: {path: ../out, if_exists: replace_partitions, partition_by: [part, day]}}\n", []string{"part:2", "manifest"}, []string{"out"}, 2, false},
		"a file":     {"sink: {csv: {path: ../out/all.csv, if_exists: replace}}\n", []string{"part", "manifest", "ended"}, []string{"out"}, 1, false},
		"on record": {"sinks:\n  - csv: {path: ../out/a, if_exists: append}\n  - csv: {path: ../out/b, if_exists: append}\n",
			[]string{"prepared", "committed", "part:2", "published", "finished", "cursor", "ended"}, []string{"out/a", "out/b"}, 2, false},
		"each epoch": {"commit: {rows: 100, every: 1h, publish: epoch}\nsink: {csv: {path: ../out, if_exists: append}}\n",
			[]string{"part", "part:2", "manifest:2", "ended"}, []string{"out"}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServed(t, c.tail)
			for i, place := range append([]string{""}, c.places...) {
				ask := []string{"schedule", "run", "p", "--scheduled", day}
				switch {
				case c.noTime:
					ask = ask[:3]
				case i == 0:
					ask[4] = other
				}
				d := s.serve(place)
				if _, err := s.rpipe(ask...); err != nil {
					t.Fatalf("%s: %v\n%s", place, err, d.said.String())
				}
				if place != "" {
					select {
					case <-d.done:
					case <-time.After(time.Minute):
						t.Fatalf("it does not come to %s", place)
					}
					d = s.serve("")
				}
				if states := s.settled(d); len(states) != i+1 || slices.ContainsFunc(states, func(s string) bool { return s != "COMPLETE" }) {
					t.Errorf("%s: %v", place, states)
				}
				d.kill()
				want := 300 * (i + 1)
				if c.runs > 0 {
					want = 300 * min(c.runs, i+1)
				}
				for _, out := range c.outs {
					rows := s.rows(out)
					if len(rows) != want {
						t.Errorf("%s: %d different rows in %s; want %d", place, len(rows), out, want)
					}
					for row, n := range rows {
						if n != 1 {
							t.Errorf("%s: %s is there %d times", place, row, n)
							break
						}
					}
				}
			}
		})
	}
}
