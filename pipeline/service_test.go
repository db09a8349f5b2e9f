//go:build cgo

package pipeline

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/rpool"
)

// put writes files into a new directory and loads the pipeline of them.
func put(t testing.TB, files map[string]string) *File {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f, problems := Load(filepath.Join(dir, "p.yaml"), nil)
	if len(problems.Errors()) > 0 {
		t.Fatal(problems)
	}
	return f
}

// serve is a service of a file, which is drained when the test ends.
func serve(t testing.TB, f *File, o ServiceOptions) *Service {
	t.Helper()
	s, err := NewService(t.Context(), f, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// table is a frame of records, with the types of s where it is not nil.
func table(t testing.TB, s *frame.Schema, records ...string) frame.Frame {
	t.Helper()
	if s == nil {
		in := ndjson.NewInferrer(nil)
		for _, r := range records {
			if err := in.Sample([]byte(r)); err != nil {
				t.Fatal(err)
			}
		}
		s = in.Schema()
	}
	p := ndjson.NewParser(s, ndjson.Options{})
	for _, r := range records {
		if err := p.Append([]byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := p.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// records are the rows of frames as JSON.
func records(fs ...frame.Frame) []string {
	var out []string
	for _, f := range fs {
		for row := range int(f.NumRows()) {
			b := []byte{'{'}
			for i, c := range f.Schema().Fields() {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(frame.AppendQuoted(b, c.Name), ':')
				b = frame.AppendJSON(b, c, f.Column(i), row)
			}
			out = append(out, string(append(b, '}')))
		}
	}
	return out
}

// asked is the answer to records, as JSON, with the rows they come from.
func asked(t testing.TB, s *Service, in ...string) ([]string, *Answer) {
	t.Helper()
	a, err := s.Do(t.Context(), table(t, s.Input(), in...))
	if err != nil {
		t.Fatal(err)
	}
	return records(a.Frames...), a
}

const anySink = "\nsink: {stdout: {}}\n"

func TestServiceTellsWhichRowMadeWhich(t *testing.T) {
	s := serve(t, put(t, map[string]string{
		"zones.csv": "id,zone\n1,north\n2,south\n2,west\n",
		"p.yaml": `
version: 1
source: {rows: [{id: 1, x: "1"}]}
stages:
  - derive: {n: cast(x AS INTEGER), on_error: dead_letter}
  - filter: {where: n < 100, on_error: skip}
  - join: {dataset: zones.csv, on: [id], duplicates: all, how: inner}
  - batch: {rows: 100, period: 1h}
  - select: [zone, n]
  - rename: {n: number}
dead_letter: {path: dead}` + anySink,
	}), ServiceOptions{})
	got, a := asked(t, s, `{"id":2,"x":"5"}`, `{"id":1,"x":"x"}`, `{"id":1,"x":"100"}`, `{"id":9,"x":"6"}`, `{"id":1,"x":"7"}`)
	want := []string{`{"zone":"south","number":5}`, `{"zone":"west","number":5}`, `{"zone":"north","number":7}`}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([][]int{{0, 0, 4}}, a.From); d != "" {
		t.Error(d)
	}
	if len(a.Rejected) != 1 || a.Rejected[0].Row != 1 || a.Rejected[0].Stage != "derive" || a.Rejected[0].Skipped {
		t.Errorf("%+v", a.Rejected)
	}
	if names := frame.FormatSchema(s.Columns()); !strings.Contains(names, "zone") || strings.Contains(names, "rpipe") {
		t.Errorf("columns are told as %s", names)
	}
	if got, a := asked(t, s, `{"id":9,"x":"6"}`); len(got) != 0 || a.Frames[0].NumCols() != 2 {
		t.Errorf("of nothing came %v", got)
	}
}

func TestServiceTakesRowsAsTheSourceWouldReadThem(t *testing.T) {
	s := serve(t, put(t, map[string]string{
		"in.csv": "day,x,label\n2026-01-02,1.5,a\n",
		"p.yaml": "version: 1\nsource: {csv: {path: in.csv, types: {day: date}}}\nstages:\n  - derive: {next: 'day + 1', half: x / 2}" + anySink,
	}), ServiceOptions{MaxRows: 2})
	a, err := s.Do(t.Context(), table(t, nil, `{"x":3}`)) // a whole number, and no day, no label
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"day":null,"x":3,"label":null,"next":null,"half":1.5}`}
	if d := cmp.Diff(want, records(a.Frames...)); d != "" {
		t.Error(d)
	}
	f := func(want string, tooMany bool, rows ...string) {
		t.Helper()
		var e *InputError
		if _, err := s.Do(t.Context(), table(t, nil, rows...)); !errors.As(err, &e) || e.TooMany != tooMany || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", rows, err)
		}
	}
	f(`there is no column "lable"; did you mean label?`, false, `{"lable":"a"}`)
	f(`column "x" is string, and double is wanted`, false, `{"x":"three"}`)
	f(`3 rows, and a request may have 2`, true, `{"x":1}`, `{"x":1}`, `{"x":1}`)
}

func TestServiceRefusesWhatNeedsMoreThanOneRequest(t *testing.T) {
	f := func(yaml string, want ...string) {
		t.Helper()
		file := put(t, map[string]string{"p.yaml": "version: 1\nsource: {rows: [{id: 1}]}\n" + yaml})
		_, err := NewService(t.Context(), file, ServiceOptions{})
		var c *ConfigError
		if !errors.As(err, &c) {
			t.Fatalf("%s: %v", yaml, err)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v\nwant %s", yaml, err, w)
			}
		}
	}
	f("stages:\n  - filter: id > 0\n  - aggregate: {by: [id], measures: {n: count(*)}}"+anySink, "p.yaml:5:", "stages[1].aggregate: needs rows of more than one request")
	f("stages:\n  - sql: SELECT * FROM input"+anySink, "p.yaml:4:", "stages[0].sql")
	f("stages:\n  - fetch: {url: 'http://127.0.0.1/{id}'}"+anySink, "p.yaml:4:", "response.columns", "declare them all")
	f("sinks:\n  - stdout: {}\n    when: id > 3\n", "p.yaml:4:", "sinks", "one answer")
	f("stages:\n  - derive: {y: idd + 1}"+anySink, "p.yaml:4:", "idd")
	f("stages:\n  - join: {dataset: nowhere.csv, on: [id]}"+anySink, "p.yaml:4:", "nowhere.csv: no such file")
}

// A row whose answer does not come keeps nobody waiting but its own request.
func TestServiceRequestsDoNotWaitForEachOther(t *testing.T) {
	slow, release := make(chan struct{}, 1), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/1":
			slow <- struct{}{}
			<-release
		case "/2":
			http.Error(w, "no", http.StatusNotFound)
			return
		}
		w.Write([]byte(`{"v": 1}`))
	}))
	defer api.Close()
	file := func(on string) *File {
		return put(t, map[string]string{"p.yaml": `
version: 1
source: {rows: [{id: 1}]}
stages:
  - fetch: {url: '` + api.URL + `/{id}', ordered: true, in_flight: 2, on_error: ` + on + `, response: {columns: {v: {type: int64}}}}
  - batch: {rows: 1000}
dead_letter: {path: dead}` + anySink})
	}
	s := serve(t, file("dead_letter"), ServiceOptions{})
	var wg sync.WaitGroup
	wg.Go(func() {
		got, a := asked(t, s, `{"id":2}`, `{"id":1}`, `{"id":3}`)
		if d := cmp.Diff([]string{`{"id":1,"v":1}`, `{"id":3,"v":1}`}, got); d != "" {
			t.Error(d)
		}
		if len(a.Rejected) != 1 || a.Rejected[0].Row != 0 {
			t.Errorf("%+v", a.Rejected)
		}
	})
	<-slow
	for range 20 {
		if got, _ := asked(t, s, `{"id":3}`); len(got) != 1 {
			t.Error(got)
		}
	}
	stopping := serve(t, file("stop"), ServiceOptions{})
	if _, err := stopping.Do(t.Context(), table(t, stopping.Input(), `{"id":2}`)); err == nil || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
	if got, _ := asked(t, stopping, `{"id":3}`); len(got) != 1 {
		t.Error("one request's error has spoilt the next")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	wg.Go(func() {
		<-slow
		cancel(gone)
	})
	if _, err := stopping.Do(ctx, table(t, stopping.Input(), `{"id":1}`)); !errors.Is(err, gone) {
		t.Error(err)
	}
	close(release)
	wg.Wait()
}

func TestServiceDrains(t *testing.T) {
	here, release := make(chan struct{}, 1), make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		here <- struct{}{}
		select {
		case <-release:
			w.Write([]byte(`{"v": 1}`))
		case <-r.Context().Done():
		}
	}))
	defer api.Close()
	start := func() (*Service, chan error) {
		s, err := NewService(t.Context(), put(t, map[string]string{"p.yaml": "version: 1\nsource: {rows: [{id: 1}]}\nstages:\n" +
			"  - fetch: {url: '" + api.URL + "/{id}', response: {columns: {v: {type: int64}}}}" + anySink}), ServiceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := s.Do(t.Context(), table(t, nil, `{"id":1}`))
			done <- err
		}()
		<-here
		return s, done
	}
	s, done := start()
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(enough)
	drained := make(chan error)
	go func() { drained <- s.Drain(ctx) }()
	if err := <-done; !errors.Is(err, enough) {
		t.Errorf("a request that was under way: %v", err)
	}
	if _, err := s.Do(t.Context(), table(t, nil, `{"id":1}`)); !errors.Is(err, rpool.ErrClosed) {
		t.Errorf("a request that came after: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}

	s, done = start()
	go func() { drained <- s.Drain(t.Context()) }()
	close(release)
	if err := <-done; err != nil {
		t.Errorf("a request with time: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
