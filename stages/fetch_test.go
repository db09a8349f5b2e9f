package stages

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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
