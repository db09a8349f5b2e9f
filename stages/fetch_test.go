package stages

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// fetchOf reads a configuration as a pipeline file has it.
func fetchOf(t testing.TB, yaml string) *Fetch {
	t.Helper()
	c, problems := decodeFetch(yaml)
	if problems.Err() != nil {
		t.Fatal(problems)
	}
	return c
}

func decodeFetch(yaml string) (*Fetch, configs.Problems) {
	doc, problems := configs.Parse("fetch.yaml", []byte(yaml), configs.Variables{})
	if len(problems) > 0 {
		return nil, problems
	}
	c := new(Fetch)
	return c, configs.Decode(doc, c)
}

// records makes a frame of JSON records.
func records(t testing.TB, lines ...string) frame.Frame {
	t.Helper()
	in := ndjson.NewInferrer(nil)
	for _, l := range lines {
		if err := in.Sample([]byte(l)); err != nil {
			t.Fatal(err)
		}
	}
	p := ndjson.NewParser(in.Schema(), ndjson.Options{})
	for _, l := range lines {
		if err := p.Append([]byte(l)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := p.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// lines are the rows of a frame as JSON.
func lines(f frame.Frame) []string {
	out := make([]string, f.NumRows())
	for i := range out {
		b := []byte{'{'}
		for k, field := range f.Schema().Fields() {
			if k > 0 {
				b = append(b, ' ')
			}
			b = append(append(b, field.Name...), ':')
			b = frame.AppendJSON(b, field, f.Column(k), i)
		}
		out[i] = string(append(b, '}'))
	}
	return out
}

// fetched is what came of a run.
type fetched struct {
	rows     []string
	batches  []*Rows
	rejected []string
	err      error
	ledger   *Ledger
}

// runFetch sends frames through a fetch, each a read of its own; epochs cuts
// after these reads.
func runFetch(ctx context.Context, t testing.TB, c *Fetch, env *Env, in ...frame.Frame) *fetched {
	t.Helper()
	out := &fetched{ledger: NewLedger(0, 1)}
	if env == nil {
		env = (&Env{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}).For("fetch")
	}
	var mu sync.Mutex
	env.Reject = func(ctx context.Context, r *Rejected) error {
		mu.Lock()
		defer mu.Unlock()
		for _, line := range lines(r.Frame) {
			out.rejected = append(out.rejected, fmt.Sprintf("%s after %d: %v", line, r.Attempt, r.Err))
		}
		r.Batch.Settle(nil)
		return nil
	}
	stage, err := c.Build(env)
	if err != nil {
		out.err = err
		return out
	}
	r := NewRun(ctx)
	src := From(r, "src", 1, func(soft, hard context.Context, to chan<- *Rows) error {
		var first int64
		for i, f := range in {
			o, err := out.ledger.Open(hard, fmt.Sprint(i+1), f.NumRows(), 1)
			if err != nil {
				return err
			}
			b := &Rows{Value: f, Rows: int(f.NumRows()), Bytes: 1, Seq: uint64(i), First: first, Epoch: o.Epoch(), Origins: []*Origin{o}}
			first += f.NumRows()
			if err := Send(hard, to, b); err != nil {
				return err
			}
		}
		return nil
	})
	To(r, "sink", Then(r, "fetch", 1, src, stage), func(ctx context.Context, from <-chan *Rows) error {
		for {
			b, ok, err := Receive(ctx, from)
			if !ok || err != nil {
				return err
			}
			out.batches = append(out.batches, b)
			out.rows = append(out.rows, lines(b.Value)...)
			b.Settle(nil)
		}
	})
	out.err = r.Wait()
	return out
}

func handle(t testing.TB, f http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s.URL
}

func want(t *testing.T, got *fetched, rows ...string) {
	t.Helper()
	if got.err != nil {
		t.Errorf("the run ended with %v", got.err)
		return
	}
	if a, b := strings.Join(got.rows, "\n"), strings.Join(rows, "\n"); a != b {
		t.Errorf("rows:\n%s\nwant:\n%s", a, b)
	}
	if front, open := got.ledger.Frontier(); open != 0 {
		t.Errorf("%d reads are not settled behind %s", open, front)
	}
}

func TestAnAnswersKeysAreColumns(t *testing.T) {
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"price": %s.5, "tags": ["a"], "name": %q}`, r.URL.Query().Get("id"), r.URL.Path)
	})
	c := fetchOf(t, "url: "+url+"/item/{name}?id={id}\nordered: true")
	got := runFetch(t.Context(), t, c, nil, records(t, `{"id": 1, "name": "a b/c"}`, `{"id": 2, "name": "é"}`))
	if got.err == nil || !strings.Contains(got.err.Error(), `column "name" of the answer: the input has one of this name`) {
		t.Errorf("a name that both have: %v", got.err)
	}
	c.Response.Prefix = "item_"
	got = runFetch(t.Context(), t, c, nil, records(t, `{"id": 1, "name": "a b/c"}`, `{"id": 2, "name": "é"}`))
	want(t, got,
		`{id:1 name:"a b/c" item_price:1.5 item_tags:["a"] item_name:"/item/a b/c"}`,
		`{id:2 name:"é" item_price:2.5 item_tags:["a"] item_name:"/item/é"}`)
}

func TestSeveralRequestsOfARow(t *testing.T) {
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/user":
			fmt.Fprintf(w, `{"data": {"key": "k%s", "level": 3}}`, r.URL.Query().Get("id"))
		case "/score":
			fmt.Fprintf(w, `[{"v": %s}, {"v": 2}]`, body)
		}
	})
	c := fetchOf(t, `
ordered: true
headers: {X-All: yes}
requests:
  - name: user
    url: `+url+`/user
    params: {id: '{id}', none: '{missing?}'}
    response: {columns: {level: {path: data.level, type: int32}}}
  - name: score
    method: POST
    idempotent: true
    url: `+url+`/score
    body: ['{user.data.level}', '{user.data.key}', 'x{id}', '{missing}']
    response: {columns: {sent: "[0].v", v: "[1].v"}, status: code}
`)
	got := runFetch(t.Context(), t, c, nil, records(t, `{"id": 7, "missing": null}`))
	want(t, got, `{id:7 missing:null level:3 sent:[3,"k7","x7",null] v:2 code:200}`)
}

func TestEachMakesARowOfEachElement(t *testing.T) {
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/1":
			io.WriteString(w, `{"items": [{"sku": "a", "n": 1}, {"sku": "b"}], "total": 2}`)
		case "/2":
			io.WriteString(w, `{"items": []}`)
		case "/3":
			io.WriteString(w, `{"items": null}`)
		case "/4":
			w.WriteHeader(404)
		}
	})
	in := records(t, `{"id": 1}`, `{"id": 2}`, `{"id": 3}`, `{"id": 4}`)
	c := fetchOf(t, "url: "+url+"/{id}\nordered: true\naccept: [2xx, 404]\nresponse: {each: items, status: code}")
	want(t, runFetch(t.Context(), t, c, nil, in),
		`{id:1 sku:"a" n:1 code:200}`, `{id:1 sku:"b" n:null code:200}`, `{id:4 sku:null n:null code:404}`)
	c = fetchOf(t, "url: "+url+"/{id}\nordered: true\non_error: skip\nresponse: {each: items, columns: {all: ., sku: sku}}")
	got := runFetch(t.Context(), t, c, nil, in)
	want(t, got, `{id:1 all:{"sku": "a", "n": 1} sku:"a"}`, `{id:1 all:{"sku": "b"} sku:"b"}`)
	if len(got.rejected) != 1 || !strings.HasPrefix(got.rejected[0], `{id:4} after 1: GET `+url+`/4: 404 Not Found`) {
		t.Error(got.rejected)
	}
}

func TestWhatComesOfAnAnswer(t *testing.T) {
	f := func(yaml, header, body string, rows ...string) {
		t.Helper()
		url := handle(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Note", header)
			io.WriteString(w, body)
		})
		c := fetchOf(t, "url: "+url+"\n"+yaml)
		want(t, runFetch(t.Context(), t, c, nil, records(t, `{"id": 1}`)), rows...)
	}
	f("response: {format: text}", "", "a\nb", `{id:1 body:"a\nb"}`)
	f("response: {format: text, body: page, status: s, headers: {note: x-note, none: x-none}}", "n", "", `{id:1 page:"" s:200 note:"n" none:null}`)
	f("response: {format: none}", "", "whatever", `{id:1}`)
	f("response: {body: raw, columns: {v: v}}", "", `{"v": 1}`, `{id:1 v:1 raw:"{\"v\": 1}"}`)
	f("", "", "", `{id:1}`)
	f("", "", "null", `{id:1}`)
	f("", "", " {} ", `{id:1}`)
	f("response: {columns: {v: v}}", "", "", `{id:1 v:null}`)
	f("response: {columns: {z: {type: date}, a: {path: x.y, type: double}, m: {path: .}}}", "", `{"z": "2024-02-29", "x": {"y": 3}}`,
		`{id:1 z:"2024-02-29" a:3 m:{"z": "2024-02-29", "x": {"y": 3}}}`)
}

func TestRowsWhoseWhenIsFalseAreNotAsked(t *testing.T) {
	var asked atomic.Int32
	url := handle(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); io.WriteString(w, `{"v": 1}`) })
	c := fetchOf(t, "url: "+url+"\nin_flight: 1\nwhen: ok\nresponse: {status: s}")
	got := runFetch(t.Context(), t, c, nil, records(t, `{"ok": true}`, `{"ok": false}`, `{"ok": null}`))
	want(t, got, `{ok:true v:1 s:200}`, `{ok:false v:null s:null}`, `{ok:null v:null s:null}`)
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	got = runFetch(t.Context(), t, c, nil, records(t, `{"ok": 1}`))
	if got.err == nil || !strings.Contains(got.err.Error(), `when: column "ok" is int64, and must be bool`) {
		t.Error(got.err)
	}
}

// TestRowsThatFail: each error says the request, and what is wrong, and only its
// row is rejected.
func TestRowsThatFail(t *testing.T) {
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/good":
			io.WriteString(w, `{"v": 1}`)
		case "/broken":
			io.WriteString(w, `{"v": `)
		case "/twice":
			io.WriteString(w, `{"v": 1, "v": 2}`)
		case "/list":
			io.WriteString(w, `[1]`)
		case "/text":
			io.WriteString(w, `{"v": "x"}`)
		case "/busy":
			w.WriteHeader(503)
			io.WriteString(w, "come back later")
		default:
			w.WriteHeader(404)
		}
	})
	rows := []string{`{"path": "good"}`}
	wants := map[string]string{
		"broken": "the answer is not JSON: JSON, byte 7",
		"twice":  `the key "v" twice in one record`,
		"list":   "the answer is an array, and only the keys of an object are columns; say response.columns or response.each",
		"text":   `column "v": "x" in the answer (string) does not fit int64`,
		"busy":   "/busy: 503 Service Unavailable after 2 tries: come back later",
		"gone":   "/gone: 404 Not Found",
	}
	for path := range wants {
		rows = append(rows, `{"path": "`+path+`"}`)
	}
	rows = append(rows, `{"path": null}`)
	wants["null"] = "url: {path} has no value; write {path?} or {path?default} if that may be"
	yaml := "url: " + url + "/{path}\nin_flight: 1\ninfer_rows: 1\nretry: {initial: 1ms, max: 1ms, max_attempts: 2}\n"
	got := runFetch(t.Context(), t, fetchOf(t, yaml+"on_error: dead_letter"), nil, records(t, rows...))
	want(t, got, `{path:"good" v:1}`)
	if len(got.rejected) != len(wants) {
		t.Errorf("%d rows were rejected, want %d", len(got.rejected), len(wants))
	}
	for path, text := range wants {
		found := false
		for _, r := range got.rejected {
			found = found || strings.HasPrefix(r, fmt.Sprintf("{path:%q}", path)) && strings.Contains(r, text) || path == "null" && strings.HasPrefix(r, "{path:null}") && strings.Contains(r, text)
		}
		if !found {
			t.Errorf("%s: no %q in\n%s", path, text, strings.Join(got.rejected, "\n"))
		}
	}
	got = runFetch(t.Context(), t, fetchOf(t, yaml), nil, records(t, rows[0], `{"path": "gone"}`))
	if got.err == nil || got.err.Error() != "fetch: row 2: GET "+url+"/gone: 404 Not Found" {
		t.Errorf("on_error: stop: %v", got.err)
	}
}

func TestARepeatedRunAsksNothingOfACache(t *testing.T) {
	var asked atomic.Int32
	url := handle(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fmt.Fprintf(w, `{"v": %s0}`, path.Base(r.URL.Path))
	})
	env := (&Env{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}).For("fetch")
	for range 2 {
		c := fetchOf(t, "url: "+url+"/{id}\nin_flight: 1\ncache: {path: kept}")
		want(t, runFetch(t.Context(), t, c, env, records(t, `{"id": 1}`, `{"id": 2}`, `{"id": 1}`)), `{id:1 v:10}`, `{id:2 v:20}`, `{id:1 v:10}`)
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
}

func TestAnInputWithoutRowsHasItsColumns(t *testing.T) {
	c := fetchOf(t, "url: http://x.invalid/{id}\nresponse: {columns: {v: {type: double}}}")
	got := runFetch(t.Context(), t, c, nil, frame.Empty(records(t, `{"id": 1}`).Schema()))
	want(t, got)
	if len(got.batches) != 1 || got.batches[0].Value.Schema().NumFields() != 2 {
		t.Errorf("%v", got.batches)
	}
}

func TestStagesOfARunShareARate(t *testing.T) {
	env := (&Env{Log: slog.New(slog.DiscardHandler)}).For("one")
	f := func(limit string) error {
		_, err := fetchOf(t, "url: http://x/\nrate: {limit: "+limit+", label: api}").Build(env.For("two"))
		return err
	}
	if err := f("10/s"); err != nil {
		t.Error(err)
	}
	if err := f("10/s"); err != nil {
		t.Error(err)
	}
	if err := f("20/s"); err == nil {
		t.Error("one label has two rates")
	}
}
