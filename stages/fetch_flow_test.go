package stages

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"pgregory.net/rapid"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/webapi"
)

// api answers requests in a bubble, where no network is. It takes the row's id
// from the URL's end.
type api func(ctx context.Context, id int) (body string, err error)

func (f api) Do(ctx context.Context, r *webapi.Request) (*webapi.Response, error) {
	id, err := strconv.Atoi(r.URL[strings.LastIndexByte(r.URL, '/')+1:])
	if err != nil {
		return nil, err
	}
	body, err := f(ctx, id)
	if err != nil {
		return nil, err
	}
	return &webapi.Response{Status: 200, Body: []byte(body), URL: r.URL, Tries: 1}, nil
}

// after waits in the bubble.
func after(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// placed is an api of which at most n requests are under way, as a client's are.
type placed struct {
	api  webapi.Doer
	gate *gate
}

func (p *placed) Do(ctx context.Context, r *webapi.Request) (*webapi.Response, error) {
	if err := p.gate.Enter(ctx); err != nil {
		return nil, err
	}
	defer p.gate.Leave()
	return p.api.Do(ctx, r)
}

// idFrame is a frame of ids from first on.
func idFrame(first, n int) frame.Frame {
	b := frame.NewBuilderSize(arrow.NewSchema([]arrow.Field{{Name: "id", Type: arrow.PrimitiveTypes.Int64, Nullable: true}}, nil), n)
	for i := range n {
		b.Column(0).AppendInt64(int64(first + i))
	}
	f, err := b.Frame()
	if err != nil {
		panic(err)
	}
	return f
}

// stageWith is a fetch whose requests a answers.
func stageWith(t testing.TB, c *Fetch, env *Env, a webapi.Doer) Stage[frame.Frame, frame.Frame] {
	t.Helper()
	f, err := c.fetcher(env)
	if err != nil {
		t.Fatal(err)
	}
	f.client = &placed{a, f.gate}
	return f.stage
}

func quietEnv(reject func(context.Context, *Rejected) error) *Env {
	env := (&Env{Log: slog.New(slog.DiscardHandler)}).For("fetch")
	env.Reject = reject
	return env
}

// TestEveryRowLeavesOnceInItsEpoch: whatever requests take and whichever fail,
// each row is written once or rejected once, in a batch of its own epoch, and an
// epoch is settled only when all of its rows have left.
func TestEveryRowLeavesOnceInItsEpoch(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		reads := rapid.SliceOfN(rapid.IntRange(1, 40), 1, 12).Draw(rt, "reads")
		cutAfter := rapid.SliceOfN(rapid.Bool(), len(reads), len(reads)).Draw(rt, "cuts")
		inFlight := rapid.IntRange(1, 20).Draw(rt, "in_flight")
		ordered := rapid.Bool().Draw(rt, "ordered")
		declared := rapid.Bool().Draw(rt, "declared")
		inferRows := rapid.IntRange(1, 200).Draw(rt, "infer_rows")
		failing := rapid.IntRange(0, 3).Draw(rt, "failing")
		seed := rapid.Uint64().Draw(rt, "seed")
		synctest.Test(t, func(t *testing.T) {
			type fate struct {
				wait time.Duration
				fail int // 0 not, 1 the request, 2 the JSON, 3 the type
			}
			total := 0
			for _, n := range reads {
				total += n
			}
			r := rand.New(rand.NewPCG(seed, 1))
			fates := make([]fate, total)
			for i := range fates {
				fates[i].wait = time.Duration(r.ExpFloat64() * float64(100*time.Millisecond))
				if r.IntN(30) == 0 {
					fates[i].wait *= 100
				}
				if i > 0 && r.IntN(10) < failing {
					fates[i].fail = 1 + r.IntN(3)
				}
			}
			yaml := fmt.Sprintf("url: 'http://x/{id}'\non_error: skip\nin_flight: %d\nordered: %v\ninfer_rows: %d\n", inFlight, ordered, inferRows)
			if declared {
				yaml += "response: {columns: {v: {type: double}}}"
			}
			var mu sync.Mutex
			left := map[int64]int{} // guarded by mu, as most is
			epochOf := func(id int64) uint64 {
				e, at := uint64(1), int64(0)
				for i, n := range reads {
					if at += int64(n); id < at {
						return e
					}
					if cutAfter[i] {
						e++
					}
				}
				return e
			}
			leave := func(f frame.Frame, epoch uint64) {
				mu.Lock()
				defer mu.Unlock()
				for _, line := range lines(f) {
					var id int64
					fmt.Sscanf(line, "{id:%d", &id)
					left[id]++
					if want := epochOf(id); epoch != want {
						t.Errorf("row %d of epoch %d left in epoch %d", id, want, epoch)
					}
				}
			}
			under, most := 0, 0
			count := func(by int) {
				mu.Lock()
				defer mu.Unlock()
				under += by
				most = max(most, under)
			}
			a := api(func(ctx context.Context, id int) (string, error) {
				count(1)
				defer count(-1)
				if err := after(ctx, fates[id].wait); err != nil {
					return "", err
				}
				switch fates[id].fail {
				case 1:
					return "", &webapi.Error{Method: "GET", URL: "x", Status: 404, Class: webapi.Row}
				case 2:
					return `{"v": `, nil
				case 3:
					return `{"v": {}}`, nil
				}
				return fmt.Sprintf(`{"v": %d.5}`, id), nil
			})
			env := quietEnv(func(ctx context.Context, rejected *Rejected) error {
				leave(rejected.Frame, rejected.Batch.Epoch)
				if f := rejected.Frame.NumRows(); f != 1 {
					t.Errorf("%d rows were rejected together", f)
				}
				rejected.Batch.Settle(nil)
				return nil
			})
			l := NewLedger(0, 1)
			run := NewRun(t.Context())
			src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
				first := 0
				for i, n := range reads {
					o, err := l.Open(hard, strconv.Itoa(first+n), int64(n), 1)
					if err != nil {
						return err
					}
					b := &Rows{Value: idFrame(first, n), Rows: n, Seq: uint64(i), First: int64(first), Epoch: o.Epoch(), Origins: []*Origin{o}}
					first += n
					if err := Send(hard, out, b); err != nil {
						return err
					}
					if cutAfter[i] {
						if err := l.CutWait(hard); err != nil {
							return err
						}
					}
					if err := after(hard, time.Duration(i%3)*400*time.Millisecond); err != nil {
						return err
					}
				}
				return nil
			})
			committing := make(chan struct{})
			go func() {
				defer close(committing)
				for {
					select {
					case e := <-l.Settled():
						mu.Lock()
						for id := range int64(total) {
							if epochOf(id) <= e.Number && left[id] != 1 {
								t.Errorf("epoch %d was settled when row %d had left %d times", e.Number, id, left[id])
							}
						}
						mu.Unlock()
						l.Committed()
					case <-run.ctx.Done():
						return
					}
				}
			}()
			last := int64(-1)
			To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, fetchOf(t, yaml), env, a)), func(ctx context.Context, in <-chan *Rows) error {
				for {
					b, ok, err := Receive(ctx, in)
					if !ok || err != nil {
						return err
					}
					leave(b.Value, b.Epoch)
					for _, line := range lines(b.Value) {
						var id, v int64
						n, _ := fmt.Sscanf(line, "{id:%d v:%d.5}", &id, &v)
						loose := !declared && strings.HasSuffix(line, "v:{}}") && fates[id].fail == 3 // v was inferred as json
						if (n != 2 || v != id) && !loose {
							t.Errorf("a row and its answer do not fit: %s", line)
						}
						if ordered && id <= last {
							t.Errorf("row %d came after row %d", id, last)
						}
						last = id
					}
					b.Settle(nil)
				}
			})
			if err := run.Wait(); err != nil {
				t.Fatal(err)
			}
			<-committing
			for id := range int64(total) {
				if left[id] != 1 {
					t.Errorf("row %d left %d times", id, left[id])
				}
			}
			if _, open := l.Frontier(); open != 0 {
				t.Errorf("%d reads are not settled", open)
			}
			if most > inFlight {
				t.Errorf("%d requests were under way, in_flight is %d", most, inFlight)
			}
		})
	})
}

// TestASlowRequestDelaysNobody: rows whose answers are there go on while one takes
// a hundred times as long, though the types are still to be inferred.
func TestASlowRequestDelaysNobody(t *testing.T) {
	for _, yaml := range []string{"response: {columns: {v: {type: double}}}", "infer_rows: 1000", ""} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			a := api(func(ctx context.Context, id int) (string, error) {
				wait := 50 * time.Millisecond
				if id == 3 {
					wait *= 100
				}
				return `{"v": 1}`, after(ctx, wait)
			})
			run := NewRun(t.Context())
			src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
				return Send(hard, out, &Rows{Value: idFrame(0, 500), Rows: 500})
			})
			var came []time.Duration // of each row
			c := fetchOf(t, "url: 'http://x/{id}'\nin_flight: 10\n"+yaml)
			To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, c, quietEnv(nil), a)), func(ctx context.Context, in <-chan *Rows) error {
				for {
					b, ok, err := Receive(ctx, in)
					if !ok || err != nil {
						return err
					}
					for range b.Rows {
						came = append(came, time.Since(start))
					}
				}
			})
			if err := run.Wait(); err != nil {
				t.Fatal(err)
			}
			// 499 rows in 9 places that are left, 50 ms each: 2.8 s; then the
			// slow one, alone.
			slow := len(came) - 1
			if len(came) != 500 || came[slow-1] > 4*time.Second || came[slow] < 5*time.Second || came[slow] > 5200*time.Millisecond {
				t.Errorf("%s: %d rows, the last but one after %v, the last after %v", yaml, len(came), came[slow-1], came[slow])
			}
			if yaml == "" && came[99] > 700*time.Millisecond {
				t.Errorf("the first 100 rows came after %v", came[99])
			}
		})
	}
}

// TestAllPlacesAreUsed: with waits of equal length the whole takes rows × wait / in_flight.
func TestAllPlacesAreUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(func(ctx context.Context, id int) (string, error) {
			return `{"v": 1}`, after(ctx, 50*time.Millisecond)
		})
		run := NewRun(t.Context())
		src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
			for i := range 64 {
				if err := Send(hard, out, &Rows{Value: idFrame(i*10, 10), Rows: 10}); err != nil {
					return err
				}
			}
			return nil
		})
		start := time.Now()
		batches := 0
		To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, fetchOf(t, "url: 'http://x/{id}'\nin_flight: 16"), quietEnv(nil), a)), func(ctx context.Context, in <-chan *Rows) error {
			for {
				_, ok, err := Receive(ctx, in)
				if !ok || err != nil {
					return err
				}
				batches++
			}
		})
		if err := run.Wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != 2*time.Second { // 640 × 50 ms / 16
			t.Errorf("it took %v", took)
		}
		if batches > 25 {
			t.Errorf("%d batches for 640 rows in 2 s", batches)
		}
	})
}

func TestAStopEndsRequestsAtOnceAndADrainFinishesThem(t *testing.T) {
	f := func(stop func(*Run), want error, rows int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := api(func(ctx context.Context, id int) (string, error) {
				return `{"v": 1}`, after(ctx, time.Minute)
			})
			run := NewRun(t.Context())
			src := From(run, "src", 0, func(soft, hard context.Context, out chan<- *Rows) error {
				for i := 0; soft.Err() == nil; i++ {
					select {
					case out <- &Rows{Value: idFrame(i*5, 5), Rows: 5}:
					case <-soft.Done():
					}
				}
				return nil
			})
			got := 0
			c := fetchOf(t, "url: 'http://x/{id}'\nin_flight: 5")
			To(run, "sink", Then(run, "fetch", 0, src, stageWith(t, c, quietEnv(nil), a)), func(ctx context.Context, in <-chan *Rows) error {
				for {
					b, ok, err := Receive(ctx, in)
					if !ok || err != nil {
						return err
					}
					got += b.Rows
				}
			})
			synctest.Wait()
			start := time.Now()
			stop(run)
			err := run.Wait()
			if !errors.Is(err, want) || got != rows || want != nil && time.Since(start) > 0 {
				t.Errorf("%d rows, %v after %v", got, err, time.Since(start))
			}
		})
	}
	enough := errors.New("enough")
	f(func(r *Run) { r.Stop(enough) }, enough, 0)
	// 20 rows had been begun (4 times in_flight), a batch of 5 had been read.
	f(func(r *Run) { r.Drain() }, nil, 20)
}

// TestInferredTypesOutliveACrash: a run that is resumed has the columns of the
// process before.
func TestInferredTypesOutliveACrash(t *testing.T) {
	answers := func(body string) webapi.Doer {
		return api(func(ctx context.Context, id int) (string, error) { return body, nil })
	}
	schema := func(env *Env, body string) string {
		t.Helper()
		run := NewRun(t.Context())
		src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
			return Send(hard, out, &Rows{Value: idFrame(0, 3), Rows: 3, Epoch: 4})
		})
		text := ""
		To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, fetchOf(t, "url: 'http://x/{id}'\nresponse: {prefix: p_, status: s}"), env, answers(body))), func(ctx context.Context, in <-chan *Rows) error {
			for {
				b, ok, err := Receive(ctx, in)
				if !ok || err != nil {
					return err
				}
				text = strings.Join(strings.Fields(frame.FormatSchema(b.Value.Schema())), " ") + " " + lines(b.Value)[0]
			}
		})
		if err := run.Wait(); err != nil {
			t.Fatal(err)
		}
		return text
	}
	first := quietEnv(nil)
	if got, want := schema(first, `{"v": 1.5, "w": "x"}`), `id int64 p_v double p_w string s int32 {id:0 p_v:1.5 p_w:"x" s:200}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	second := quietEnv(nil)
	second.Remember(first.Notes(3)) // rows of epoch 3 may follow with these columns, and commit first
	if got, want := schema(second, `{"w": 7, "v": 2}`), `id int64 p_v double p_w string s int32 {id:0 p_v:2 p_w:"7" s:200}`; got != want {
		t.Errorf("resumed: %s, want %s", got, want)
	}
}

// TestWrongCredentialsEndARunThatSkips: unless something has been accepted, 401 and
// 403 are about the configuration, not about rows.
func TestWrongCredentialsEndARunThatSkips(t *testing.T) {
	f := func(refused func(id int) bool, ends bool, skipped int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := api(func(ctx context.Context, id int) (string, error) {
				if err := after(ctx, time.Duration(id+1)*time.Millisecond); err != nil {
					return "", err
				}
				if refused(id) {
					return "", &webapi.Error{Method: "GET", URL: "x", Status: http.StatusForbidden, Class: webapi.Fatal}
				}
				return `{"v": 1}`, nil
			})
			run := NewRun(t.Context())
			src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
				return Send(hard, out, &Rows{Value: idFrame(0, 20), Rows: 20})
			})
			rejected := 0
			env := quietEnv(func(ctx context.Context, r *Rejected) error { rejected++; return nil })
			To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, fetchOf(t, "url: 'http://x/{id}'\non_error: skip"), env, a)), func(ctx context.Context, in <-chan *Rows) error {
				for {
					if _, ok, err := Receive(ctx, in); !ok || err != nil {
						return err
					}
				}
			})
			err := run.Wait()
			if ends && (err == nil || !strings.Contains(err.Error(), "auth is likely wrong")) || !ends && (err != nil || rejected != skipped) {
				t.Errorf("%d rows were rejected, and the run ended with %v", rejected, err)
			}
		})
	}
	f(func(id int) bool { return true }, true, 0)
	f(func(id int) bool { return id < 5 }, false, 5)
	f(func(id int) bool { return id < 9 }, false, 9)
	f(func(id int) bool { return id < 10 }, true, 0)
	f(func(id int) bool { return id%2 == 1 }, false, 10)
}

func TestMaxFailedEndsAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(func(ctx context.Context, id int) (string, error) {
			if id%2 == 0 {
				return "", &webapi.Error{Method: "GET", URL: "x", Status: 404, Class: webapi.Row}
			}
			return `{"v": 1}`, nil
		})
		run := NewRun(t.Context())
		src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
			return Send(hard, out, &Rows{Value: idFrame(0, 100), Rows: 100})
		})
		c := fetchOf(t, "url: 'http://x/{id}'\non_error: skip\nmax_failed: {count: 5, of: 100}")
		env := quietEnv(func(ctx context.Context, r *Rejected) error { return nil })
		To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, c, env, a)), func(ctx context.Context, in <-chan *Rows) error {
			for {
				if _, ok, err := Receive(ctx, in); !ok || err != nil {
					return err
				}
			}
		})
		if err := run.Wait(); err == nil || !strings.Contains(err.Error(), "max_failed allows 5; the last error: GET x: 404 Not Found") {
			t.Error(err)
		}
	})
}

// TestMeasuresOfAFetch: the metrics say how many requests are under way.
func TestMeasuresOfAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := api(func(ctx context.Context, id int) (string, error) { return `{}`, after(ctx, time.Second) })
		run := NewRun(t.Context())
		src := From(run, "src", 1, func(soft, hard context.Context, out chan<- *Rows) error {
			return Send(hard, out, &Rows{Value: idFrame(0, 8), Rows: 8})
		})
		To(run, "sink", Then(run, "fetch", 1, src, stageWith(t, fetchOf(t, "url: 'http://x/{id}'\nin_flight: 4"), quietEnv(nil), a)), func(ctx context.Context, in <-chan *Rows) error {
			for {
				if _, ok, err := Receive(ctx, in); !ok || err != nil {
					return err
				}
			}
		})
		synctest.Wait()
		at := slices.IndexFunc(run.Meters(), func(m *Meter) bool { return m.Name == "fetch" })
		m := run.Meters()[at]
		if r := m.Read(); r.InFlight != 4 || r.Workers != 4 {
			t.Errorf("under way: %+v", r)
		}
		if err := run.Wait(); err != nil {
			t.Fatal(err)
		}
		if r := m.Read(); r.Busy != 8*time.Second || r.InFlight != 0 || r.RowsIn != 8 || r.RowsOut != 8 {
			t.Errorf("at the end: %+v", r)
		}
	})
}
