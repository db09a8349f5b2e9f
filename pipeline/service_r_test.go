//go:build cgo && unix

package pipeline

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// workers is a pool of two.
func workers(t testing.TB, o rpool.Options) *rpool.Pool {
	t.Helper()
	if o.Max == 0 {
		o.Max = 2
	}
	p, err := rpool.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// rowsOf reads all rows that a run has written.
func rowsOf(t testing.TB, f *File, path string) (all []string, s *frame.Schema) {
	t.Helper()
	r, err := (&sources.Parquet{Path: sources.Paths{path}, Partitions: "off"}).Open(t.Context(), f.planEnv().For("check"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		read, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return all, r.Schema()
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records(read.Frame)...)
	}
}

// TestTrainingAndServingAgree: whatever portions rows come in, a service makes of
// them what a run makes of the whole dataset.
func TestTrainingAndServingAgree(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var id int
		fmt.Sscanf(r.URL.Path, "/price/%d", &id)
		switch {
		case id%17 == 5:
			http.Error(w, "no such id", http.StatusNotFound)
		case id%5 == 0:
			fmt.Fprint(w, `{"data": {"price": null}}`)
		default:
			fmt.Fprintf(w, `{"data": {"price": %v}}`, float64(id)/2)
		}
	}))
	defer api.Close()
	const n = 120
	var in, zones strings.Builder
	w := csv.NewWriter(&in)
	w.Write([]string{"id", "zone", "day", "x", "label"})
	for i := range n {
		x := fmt.Sprint(float64(i%11) / 4)
		if i%7 == 0 {
			x = ""
		}
		w.Write([]string{fmt.Sprint(i), fmt.Sprint(i % 6), fmt.Sprintf("2026-03-%02d", 1+i%28), x, []string{"", "a", "b"}[i%3]})
	}
	w.Flush()
	zones.WriteString("zone,name,weight\n0,north,1\n1,south,2\n2,east,3\n2,east too,4\n4,,5\n")
	file := put(t, map[string]string{
		"in.csv": in.String(), "zones.csv": zones.String(),
		"model.R": `
fit <- lm(y ~ a, data.frame(a = 1:20, y = (1:20)^2))
score <- function(d, cut = 10) {
  if (any(d$id %% 13 == 4)) stop("unlucky ", d$id[d$id %% 13 == 4][1])
  d$predicted <- predict(fit, data.frame(a = ifelse(is.na(d$feature), 0, d$feature)))
  d$class <- ifelse(d$price > cut, "dear", "cheap")
  d$whole <- as.integer(d$id)
  d
}
twice <- function(d) d[rep(seq_len(nrow(d)), each = 2), , drop = FALSE]
`,
		"p.yaml": `
version: 1
r: {source: [model.R]}
source: {csv: {path: in.csv, types: {day: date, label: string}}}
stages:
  - filter: "id % 10 <> 9"
  - fetch:
      url: ` + api.URL + `/price/{id}
      on_error: skip
      ordered: true
      response: {columns: {price: {path: data.price, type: double}}}
  - join: {dataset: zones.csv, on: [zone], duplicates: all, how: left}
  - derive: {feature: 'x * weight + coalesce(price, 0)', month: month(day)}
  - batch: {rows: 32}
  - map: {fun: score, rows: same, args: {cut: 20}, on_error: skip}
  - select: [id, day, label, name, feature, month, predicted, class, whole, price]
  - map: {fun: twice}
  - filter: predicted IS NOT NULL
sink: {parquet: {path: out}}
`,
	})
	run, err := Start(t.Context(), file, Options{})
	if err != nil {
		t.Fatal(err)
	}
	report, err := run.Wait()
	if err != nil {
		t.Fatal(err)
	}
	want, columns := rowsOf(t, file, filepath.Join(file.Dir(), "out"))
	if len(want) < n || report.Skipped == 0 {
		t.Fatalf("the run made %d rows and skipped %d: the test tests nothing", len(want), report.Skipped)
	}

	again, _ := Load(file.Path, nil)
	s := serve(t, again, ServiceOptions{Pool: workers(t, rpool.Options{})})
	reader, err := file.Source.Use.Open(t.Context(), file.planEnv().For("source"), "")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	read, err := reader.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, n} {
		answers := make([]*Answer, (n+size-1)/size)
		var wg sync.WaitGroup
		gate := make(chan struct{}, 6)
		for i := range answers {
			wg.Go(func() {
				gate <- struct{}{}
				defer func() { <-gate }()
				from := i * size
				a, err := s.Do(t.Context(), frame.Slice(read.Frame, from, min(from+size, n)))
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = a
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		var got []string
		skipped := 0
		for _, a := range answers {
			got = append(got, records(a.Frames...)...)
			skipped += len(a.Rejected)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("in portions of %d rows: %s", size, d)
		}
		if skipped != int(report.Skipped) {
			t.Errorf("in portions of %d rows %d were skipped, and by the run %d", size, skipped, report.Skipped)
		}
		if size == n {
			if d := cmp.Diff(frame.FormatSchema(columns), frame.FormatSchema(answers[0].Frames[0].Schema())); d != "" {
				t.Error(d)
			}
		}
	}
}

const unsteady = `
twice <- function(d) { d$y <- d$x * 2; d }
odd <- function(d) { if (any(d$x %% 7 == 3)) stop("no ", d$x[d$x %% 7 == 3][1]); d }
typed <- function(d) { d$y <- switch(d$kind[1], int = 1L, real = 0.5, text = "a", none = NA); d["y"] }
wait <- function(d) { if (d$x[1] == 1) { file.create("waiting"); Sys.sleep(60) }; d }
`

func service(t testing.TB, stage string, o ServiceOptions) *Service {
	t.Helper()
	return serve(t, put(t, map[string]string{
		"model.R": unsteady,
		"p.yaml":  "version: 1\nr: {source: [model.R]}\nsource: {rows: [{x: 1.5, kind: a}]}\nstages:\n  - " + stage + "\ndead_letter: {path: dead}" + anySink,
	}), o)
}

func TestServiceGivesEachRequestItsOwnErrors(t *testing.T) {
	pool := workers(t, rpool.Options{})
	setAside := service(t, "map: {fun: odd, rows: same, on_error: dead_letter}", ServiceOptions{Pool: pool})
	whole := service(t, "map: {fun: odd, on_error: dead_letter}", ServiceOptions{Pool: pool})
	stops := service(t, "map: {fun: odd}", ServiceOptions{Pool: pool})
	var wg sync.WaitGroup
	for k := range 8 {
		wg.Go(func() {
			var in, want []string
			var failed []int
			for i := range 20 {
				if x := 20*k + i; x%7 == 3 {
					failed = append(failed, i)
				} else {
					want = append(want, fmt.Sprintf(`{"x":%d,"kind":null}`, x))
				}
				in = append(in, fmt.Sprintf(`{"x":%d}`, 20*k+i))
			}
			got, a := asked(t, setAside, in...)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			var rejected []int
			for _, r := range a.Rejected {
				rejected = append(rejected, r.Row)
				var condition *rpool.ConditionError
				if !errors.As(r.Err, &condition) || condition.Message != fmt.Sprint("no ", 20*k+r.Row) || r.Whole {
					t.Errorf("row %d: %v", r.Row, r.Err)
				}
			}
			if d := cmp.Diff(failed, rejected); d != "" {
				t.Error(d)
			}
			if got, a := asked(t, whole, in...); len(got) != 0 || len(a.Rejected) != 20 || !a.Rejected[0].Whole {
				t.Errorf("%d rows, %d rejected", len(got), len(a.Rejected))
			}
			var stage *stages.StageError
			if _, err := stops.Do(t.Context(), table(t, stops.Input(), in...)); !errors.As(err, &stage) || stage.Stage != "map" {
				t.Error(err)
			}
			if got, _ := asked(t, stops, `{"x":1}`); len(got) != 1 {
				t.Error("an error of one request is another's")
			}
		})
	}
	wg.Wait()
}

// What one request makes R return decides nothing for the others, but the type of
// a column of which they know none.
func TestServiceTypesAcrossRequests(t *testing.T) {
	pool := workers(t, rpool.Options{Max: 1})
	s := service(t, "map: {fun: typed}", ServiceOptions{Pool: pool})
	f := func(kind, want, value string) {
		t.Helper()
		got, a := asked(t, s, `{"kind":"`+kind+`"}`)
		if have := frame.TypeName(a.Frames[0].Schema().Field(0)); have != want || got[0] != `{"y":`+value+`}` {
			t.Errorf("%s is %s as %s, and %s was wanted", kind, got[0], have, want)
		}
	}
	f("none", "bool", "null") // nobody knows better
	f("int", "int32", "1")
	f("none", "int32", "null")
	f("real", "double", "0.5")
	f("int", "double", "1")
	f("text", "string", `"a"`)
	f("int", "double", "1")
	declared := service(t, "map: {fun: typed, returns: {y: double}}", ServiceOptions{Pool: pool})
	if _, err := declared.Do(t.Context(), table(t, nil, `{"kind":"text"}`)); err == nil || !strings.Contains(err.Error(), "returns: declares") {
		t.Error(err)
	}
	if frame.FormatSchema(declared.Columns()) != "y double\n" {
		t.Error(frame.FormatSchema(declared.Columns()))
	}
}

// The work of a request that nobody waits for any more ends, and its worker
// serves the next one.
func TestServiceCancelsWhatRDoes(t *testing.T) {
	pool := workers(t, rpool.Options{Max: 1})
	s := service(t, "map: {fun: wait}", ServiceOptions{Pool: pool})
	late := service(t, "map: {fun: wait}", ServiceOptions{Pool: pool, Timeout: 50 * time.Millisecond})
	pids := workerPids(t, s)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the client has gone")
	go func() {
		for !exists(filepath.Join(s.file.Dir(), "waiting")) {
			if ctx.Err() != nil {
				return
			}
			runtime.Gosched()
		}
		cancel(gone)
	}()
	if _, err := s.Do(ctx, table(t, nil, `{"x":1}`)); !errors.Is(err, gone) {
		t.Error(err)
	}
	if again := workerPids(t, s); again != pids {
		t.Error("the worker was not interrupted but replaced")
	}
	if _, err := late.Do(t.Context(), table(t, nil, `{"x":1}`)); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not done within 50ms") {
		t.Error(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// workerPids tells how many workers have been started for good.
func workerPids(t *testing.T, s *Service) int64 {
	t.Helper()
	if _, err := s.Do(t.Context(), table(t, nil, `{"x":2}`)); err != nil {
		t.Fatal(err)
	}
	return s.o.Pool.Stats().Total.Started
}

// A request waits for a worker before what runs in bulk on the same pool.
func TestServiceIsInteractive(t *testing.T) {
	pool := workers(t, rpool.Options{Max: 1})
	s := service(t, "map: {fun: twice}", ServiceOptions{Pool: pool})
	lease, err := pool.Acquire(t.Context(), s.env.R, rpool.Interactive)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.Do(t.Context(), table(t, nil, `{"x":2}`)); err != nil {
			t.Error(err)
		}
	})
	waits := pool.Stats().Total
	for ; waits.WaitingInteractive+waits.WaitingBulk == 0; waits = pool.Stats().Total {
		runtime.Gosched()
	}
	lease.Release()
	wg.Wait()
	if waits.WaitingInteractive != 1 {
		t.Error("it waits in bulk")
	}
}
