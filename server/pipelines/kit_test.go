package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/schedule"
)

// put writes files below dir.
func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// set is that of a directory of files.
func set(t *testing.T, files map[string]string) *Set {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, files)
	var c Config
	configs.SetDefaults(&c)
	c.Dir = dir
	s := New(Options{Config: c, Owner: "me"})
	if _, err := s.Load(); err != nil {
		t.Fatal(err)
	}
	if list, _ := s.List(); len(list) == 1 && list[0].State != OK {
		t.Fatal(list[0].Problems)
	}
	return s
}

// day is a scheduled time.
func day(n int) time.Time { return time.Date(2026, 11, n, 2, 0, 0, 0, time.UTC) }

// record is what a run has told and logged.
type record struct {
	mu   sync.Mutex
	out  schedule.Outcome
	said []string
}

func (r *record) log(line string) { r.mu.Lock(); defer r.mu.Unlock(); r.said = append(r.said, line) }
func (r *record) tell(o schedule.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out = o
}

func (r *record) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// attempt does one attempt of a run as the keeper would.
func (s *Set) doOnce(ctx context.Context, name, id string, at time.Time, in Input) (*record, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	for _, e := range s.Entries() {
		if e.Name == name {
			r := new(record)
			run := &schedule.Run{ID: id, Schedule: name, Scheduled: at, Cause: schedule.ByHand, Attempt: 1, Input: b}
			return r, e.Work.Run(ctx, run, r.tell, r.log)
		}
	}
	return nil, fmt.Errorf("no entry %s", name)
}

// rows are the lines of the CSV files below a directory, without their headers.
func rows(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".csv" || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(all, strings.Split(strings.TrimSpace(string(b)), "\n")[1:]...)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// gate is a web API that holds back the rows from one on, and fails some.
type gate struct {
	*httptest.Server
	mu   sync.Mutex
	from int          // rows from there on wait; 0 is none
	bad  map[int]bool // rows that fail
	open chan struct{}
	at   chan struct{} // closed when one waits
	once *sync.Once
}

func newGate(t *testing.T) *gate {
	g := &gate{bad: map[int]bool{}, open: make(chan struct{}), at: make(chan struct{}), once: new(sync.Once)}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		g.mu.Lock()
		from, bad, open, at, once := g.from, g.bad[n], g.open, g.at, g.once
		g.mu.Unlock()
		if from > 0 && n >= from {
			once.Do(func() { close(at) })
			select {
			case <-open:
			case <-r.Context().Done():
				return
			}
		}
		if bad {
			http.Error(w, "bad row", http.StatusUnprocessableEntity)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"twice": %d}`, 2*n)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gate) hold(from int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.from, g.open, g.at, g.once = from, make(chan struct{}), make(chan struct{}), new(sync.Once)
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.from = 0
	close(g.open)
}

func (g *gate) fail(rows ...int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bad = map[int]bool{}
	for _, n := range rows {
		g.bad[n] = true
	}
}

// gated is a pipeline over 60 rows, in epochs of ten, through the gate.
func (g *gate) gated(more string) string {
	return fmt.Sprintf(`version: 1
source: {range: {from: 1, to: 60, column: i}}
commit: {rows: 10, every: 1h}
stages:
  - batch: {rows: 10}
  - fetch:
      url: %s/{i}
      in_flight: 2
      ordered: true
      on_error: dead_letter
      retry: {max_attempts: 1}
      response: {columns: {twice: {path: twice, type: int64}}}
sink: {csv: {path: out, if_exists: append}}
dead_letter: {path: dead}
%s`, g.URL, more)
}

func wait(t *testing.T, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(15 * time.Second):
		t.Fatal("it has not come to be within 15 s")
	}
}
