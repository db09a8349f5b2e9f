//go:build unix

package predict

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Each of many callers gets the results of exactly its rows, in their order, though
// they share batches; bad rows of some change nothing for others.
func TestEachCallerGetsExactlyItsRows(t *testing.T) {
	p := serve(t, 2, func(e *Endpoint) {
		e.Fun, e.Schema, e.Keys = "bad_is_bad", columns("id", "int32", "x", "double"), []string{"id"}
		e.Batch.Rows = 50
	})
	const callers, requests = 64, 20
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			dice := rand.New(rand.NewPCG(1, uint64(caller)))
			for range requests {
				n := 1 + dice.IntN(4)
				if dice.IntN(40) == 0 {
					n = 120 // more than a batch
				}
				var in, want []string
				for i := range n {
					id, x := dice.Int32(), float64(dice.IntN(1000))
					if dice.IntN(200) == 0 {
						in = append(in, fmt.Sprintf(`{"id":%d,"x":%v}`, id, -x-1))
						want = append(want, fmt.Sprintf(`{"error":{"index":%d,"reason":"r_error","message":"x is negative: %v"}}`, i, -x-1))
						continue
					}
					in = append(in, fmt.Sprintf(`{"id":%d,"x":%v}`, id, x))
					want = append(want, fmt.Sprintf(`{"id":%d,"y":%v}`, id, 2*x))
				}
				w := post(t, p, "["+strings.Join(in, ",")+"]")
				if got := w.Body.String(); got != "["+strings.Join(want, ",")+"]\n" {
					t.Errorf("%v:\n%d %s\nwant\n%s", in, w.Code, got, want)
					return
				}
			}
		})
	}
	wg.Wait()
	var batches int64
	for _, m := range p.scorer.(*predictions).flow.run.Meters() {
		if m.Name == "batch" {
			batches = m.Read().BatchesOut
		}
	}
	if batches > callers*requests/2 {
		t.Errorf("%d batches for %d requests: they were not put together", batches, callers*requests)
	}
}

// inLine waits until n calls wait for a batch.
func inLine(t *testing.T, f *flow, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d calls stand in line", n), func() bool { return f.waiting.Load() == int64(n) })
}

// together sends bodies at once and returns their answers in that order. The worker
// is busy until all of them stand in line, so that they share a batch.
func together(t *testing.T, p *Predictor, bodies ...string) []*httptest.ResponseRecorder {
	t.Helper()
	f := p.scorer.(*predictions).flow
	f.batcher.slots <- struct{}{} // the only one
	out := make([]*httptest.ResponseRecorder, len(bodies))
	var wg sync.WaitGroup
	for i, body := range bodies {
		wg.Go(func() { out[i] = post(t, p, body) })
		inLine(t, f, i+1)
	}
	<-f.batcher.slots
	wg.Wait()
	return out
}

// Requests whose columns do not agree go to R in batches of their own.
func TestRequestsOfDifferentColumnsDoNotMix(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun = "echo" })
	bodies := []string{
		`[{"id": 1, "x": 1}]`, `[{"id": 2, "x": "a"}]`, `[{"id": 3, "x": 2.5}]`, `[{"id": 4}]`, `[{"id": 5, "x": null}]`, `[{"x": 3, "id": 6}]`,
	}
	want := []string{
		`[{"id":1,"x":1}]`, `[{"id":2,"x":"a"}]`, `[{"id":3,"x":2.5}]`, `[{"id":4}]`, `[{"id":5,"x":null}]`, `[{"id":6,"x":3}]`,
	}
	for i, w := range together(t, p, bodies...) {
		if w.Code != 200 || w.Body.String() != want[i]+"\n" {
			t.Errorf("%s: %d %s", bodies[i], w.Code, w.Body)
		}
	}
}

// A function that drops rows spoils the results of nobody else.
func TestAWrongNumberOfResultsIsItsCallersAlone(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun = "dropper"; e.Schema = columns("x", "double") })
	out := together(t, p, `[{"x": 1}]`, `[{"x": 13}]`, `[{"x": 3}]`)
	for i, want := range []string{`[{"x":1}]`, `[{"error":{"index":0,"reason":"bad_result","message":"dropper() returned 0 results for 1 rows; return one for each row, in their order"}}]`, `[{"x":3}]`} {
		if got := out[i].Body.String(); got != want+"\n" {
			t.Errorf("request %d: %d %s", i, out[i].Code, got)
		}
	}
}

// A row that kills R takes nobody with it: the others are asked for again.
func TestAWorkerThatDiesTakesOnlyTheRowThatKilledIt(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun, e.Schema = "die", columns("x", "double") })
	out := together(t, p, `[{"x": 1}, {"x": 2}]`, `[{"x": 13}]`, `[{"x": 3}]`)
	if got := out[0].Body.String(); got != `[{"x":1},{"x":2}]`+"\n" {
		t.Errorf("a bystander: %s", got)
	}
	if got := out[2].Body.String(); got != `[{"x":3}]`+"\n" {
		t.Errorf("a bystander: %s", got)
	}
	if out[1].Code != http.StatusBadGateway || !strings.Contains(out[1].Body.String(), `"error":"worker_died"`) {
		t.Errorf("the one: %d %s", out[1].Code, out[1].Body)
	}
}

// A worker that somebody kills costs one more attempt and no answer.
func TestAKilledWorkerIsRetried(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun, e.Schema = "die_once", columns("file", "string") })
	body, _ := json.Marshal([]map[string]string{{"file": t.TempDir() + "/died"}})
	x := &exchange.Exchange{}
	w := postWith(context.Background(), p, x, body)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "died") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if x.Attempts != 2 || x.Worker == 0 || x.R == 0 || x.Route != "/predict" {
		t.Errorf("exchange: %+v", x)
	}
}

func TestRThatTakesTooLongIsA504(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun, e.Schema, e.Timeout = "slow", columns("x", "double"), configs.Duration(300e6)
	})
	if w := post(t, p, `[{"x": 13}]`); w.Code != http.StatusGatewayTimeout {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := post(t, p, `[{"x": 1}, {"x": 13}]`); w.Code != 200 || w.Body.String() != `[{"x":1},{"error":{"index":1,"reason":"timeout","message":"R took longer than it may"}}]`+"\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What R does for callers that have all gone is stopped, and those that have gone
// before are not computed for.
func TestCallersThatHaveGoneCostNothing(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) { e.Fun, e.Schema = "slow_size", columns("id", "int32", "x", "double") })
	f := p.scorer.(*predictions).flow
	ctx, hangUp := context.WithCancelCause(context.Background())
	var first, second *httptest.ResponseRecorder
	var wg sync.WaitGroup
	wg.Go(func() { first = postWith(ctx, p, &exchange.Exchange{}, []byte(`[{"id": 1, "x": 13}]`)) })
	eventually(t, "the first is in R", func() bool { return len(f.batcher.slots) == 1 })
	gone, leave := context.WithCancelCause(context.Background())
	wg.Go(func() { second = postWith(gone, p, &exchange.Exchange{}, []byte(`[{"id": 2, "x": 1}]`)) })
	inLine(t, f, 1)
	leave(fault.ErrClientGone)
	inLine(t, f, 0)
	var third *httptest.ResponseRecorder
	wg.Go(func() { third = post(t, p, `[{"id": 3, "x": 1}]`) })
	inLine(t, f, 1)
	hangUp(fault.ErrClientGone)
	wg.Wait()
	if first.Code != fault.StatusClientGone || second.Code != fault.StatusClientGone {
		t.Errorf("those that have gone: %d, %d", first.Code, second.Code)
	}
	if got := third.Body.String(); got != `[{"id":3,"n":1}]`+"\n" {
		t.Errorf("the one that stayed was not alone: %s", got)
	}
}

func TestAFullLineIs503(t *testing.T) {
	p := serve(t, 1, func(e *Endpoint) {
		e.Fun, e.Schema, e.Queue = "echo", columns("x", "double"), Queue{Length: 1, Wait: configs.Duration(20e6)}
	})
	f := p.scorer.(*predictions).flow
	f.batcher.slots <- struct{}{} // the only one
	var wg sync.WaitGroup
	var waited *httptest.ResponseRecorder
	f.queue.wait = 0
	wg.Go(func() { waited = post(t, p, `[{"x": 1}]`) })
	inLine(t, f, 1)
	w := post(t, p, `[{"x": 2}]`)
	if w.Code != 503 || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "queue_full") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	<-f.batcher.slots
	wg.Wait()
	if waited.Code != 200 {
		t.Errorf("the one before: %d", waited.Code)
	}
	f.batcher.slots <- struct{}{}
	f.queue.wait = 20e6
	w = post(t, p, `[{"x": 3}]`)
	if w.Code != 503 || !strings.Contains(w.Body.String(), "queue_wait") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	<-f.batcher.slots
	if w = post(t, p, `[{"x": 4}]`); w.Code != 200 || f.waiting.Load() != 0 {
		t.Errorf("after it: %d, %d in line", w.Code, f.waiting.Load())
	}
}

// A drain answers what is under way and refuses the rest.
func TestDrainAnswersWhatIsUnderWay(t *testing.T) {
	o := Options{Pool: shared(t), Env: &withModel}
	configs.SetDefaults(&o.Endpoint)
	o.Endpoint.Fun, o.Endpoint.Concurrency = "echo", 1
	p, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	f := p.scorer.(*predictions).flow
	f.batcher.slots <- struct{}{}
	var inside *httptest.ResponseRecorder
	var wg sync.WaitGroup
	wg.Go(func() { inside = post(t, p, `[{"x": 1}]`) })
	inLine(t, f, 1)
	wg.Go(func() {
		if err := p.Drain(context.Background()); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "it drains", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.draining })
	if w := post(t, p, `[{"x": 2}]`); w.Code != 503 {
		t.Errorf("a new one: %d %s", w.Code, w.Body)
	}
	<-f.batcher.slots
	wg.Wait()
	if inside.Code != 200 {
		t.Errorf("the one inside: %d %s", inside.Code, inside.Body)
	}
}

func TestAnEndpointWhoseFunctionIsNotThereDoesNotComeUp(t *testing.T) {
	f := func(fun, want string) {
		t.Helper()
		o := Options{Pool: shared(t), Env: &withModel}
		configs.SetDefaults(&o.Endpoint)
		o.Endpoint.Fun = fun
		_, err := New(context.Background(), o)
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v", fun, err)
		}
	}
	f("predict_dost", "endpoint /predict: there is no function predict_dost(); did you mean predict_dist?")
	f("stats::nothing", "endpoint /predict: 'nothing' is not an exported object from 'namespace:stats'")
	o := Options{Pool: shared(t), Env: &rpool.Environment{Setup: `stop("no model")`}}
	configs.SetDefaults(&o.Endpoint)
	o.Endpoint.Fun = "f"
	var start *rpool.StartError
	if _, err := New(context.Background(), o); !errors.As(err, &start) {
		t.Errorf("a set-up that fails: %v", err)
	}
}
