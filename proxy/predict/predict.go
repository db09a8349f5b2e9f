package predict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Options say where an endpoint runs.
type Options struct {
	Pool     *rpool.Pool
	Env      *rpool.Environment // in which the function is found
	Log      *slog.Logger       // nil discards
	Fault    fault.Writer
	Timeout  time.Duration // of R code, where the endpoint has none; 0 is none
	Prefix   string        // what was stripped from the URL, for the description
	Endpoint Endpoint
	Dir      string            // where a pipeline's relative path starts; "" is the process's directory
	Vars     map[string]string // for the variables of a pipeline file
}

// Predictor serves one endpoint.
type Predictor struct {
	o      Options
	reader reader
	scorer scorer

	mu       sync.Mutex // guards what follows
	inside   int        // requests under way
	draining bool
	idle     chan struct{} // closed when draining and nothing is under way
}

// New brings an endpoint up: a worker has the function, or all stages of the
// pipeline are ready. The error says
// why not. It ends with Drain.
func New(ctx context.Context, o Options) (*Predictor, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &o.Endpoint
	what := func(err error) error { return fmt.Errorf("endpoint %s: %w", e.Path, err) }
	s, err := schemaOf(e)
	if err != nil {
		return nil, what(err)
	}
	p := &Predictor{o: o, reader: reader{schema: s, maxRows: e.MaxRows}, idle: make(chan struct{})}
	if e.Pipeline != "" {
		p.scorer, err = newStages(ctx, &o, &p.reader)
	} else {
		p.scorer, err = newPredictions(ctx, &o)
	}
	if err != nil {
		return nil, what(err)
	}
	return p, nil
}

// newPredictions is the scorer of a function.
func newPredictions(ctx context.Context, o *Options) (*predictions, error) {
	e := &o.Endpoint
	if err := known(ctx, o); err != nil {
		return nil, err
	}
	columns, err := fields("returns", e.Returns)
	if err != nil {
		return nil, err
	}
	fun := &function{name: e.Fun, timeout: o.Timeout}
	if columns != nil {
		fun.returns = arrow.NewSchema(columns, nil)
	}
	if e.Timeout > 0 {
		fun.timeout = time.Duration(e.Timeout)
	}
	if e.Int64 == "integer64" {
		fun.options.Int64 = frame.Int64Bit64
	}
	p := policy{rows: e.Batch.Rows, bytes: int64(e.Batch.Bytes), requests: e.Batch.Requests, wait: time.Duration(e.Batch.Wait)}
	concurrency := e.Concurrency
	if concurrency == 0 {
		concurrency = o.Pool.Stats().Max
	}
	f := newFlow(context.WithoutCancel(ctx), flowOptions{
		pool: o.Pool, env: o.Env, log: o.Log, fun: fun, policy: p,
		queue:       queue{length: int64(e.Queue.Length), wait: time.Duration(e.Queue.Wait)},
		concurrency: concurrency, attempts: e.MaxAttempts, halvings: e.MaxHalvings,
	})
	return &predictions{flow: f, policy: p, messages: e.Messages}, nil
}

// ServeHTTP answers POST with results and GET with a description.
func (p *Predictor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange.Of(r.Context())
	x.Route = p.o.Endpoint.Path
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead:
		p.describe(w, r)
		return
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		p.fail(w, r, fault.New(http.StatusMethodNotAllowed, "method_not_allowed", "POST rows to this path; GET describes it"))
		return
	}
	if !p.enter() {
		p.fail(w, r, fault.ErrDraining)
		return
	}
	defer p.leave()
	if err := p.predict(w, r, x); err != nil {
		p.fail(w, r, err)
	}
}

// predict answers a POST, unless there is an error.
func (p *Predictor) predict(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) error {
	came, err := received(r)
	if err != nil {
		return err
	}
	want, err := wanted(r, came)
	if err != nil {
		return err
	}
	body, err := p.body(w, r, x)
	if err != nil {
		return err
	}
	in, err := p.reader.read(came, body)
	if err != nil {
		return err
	}
	out := &output{form: in.form, details: p.o.Fault.Details}
	if in.frame != nil {
		got, err := p.scorer.score(r.Context(), x, in.frame)
		if err != nil {
			return err
		}
		out.results = *got
		if err := p.addKeys(out, in.frame); err != nil {
			return err
		}
		for i := range out.place {
			out.place[i] = int32(placeOf(in.place, int(out.place[i])))
		}
		for _, e := range out.errors {
			e.Index = placeOf(in.place, e.Index)
		}
	}
	out.errors = append(out.errors, in.errors...)
	sortErrors(out.errors)
	return p.write(w, x, out, in.rows, want)
}

// write sends an answer.
func (p *Predictor) write(w http.ResponseWriter, x *exchange.Exchange, out *output, rows int, want media) error {
	status := out.status()
	if len(out.place) == 0 && len(out.errors) > 0 {
		// Where nothing but the server stood in the way of all rows, its answer is
		// the plain one, with Retry-After where that helps.
		if first := out.errors[0]; first.Err != nil && first.Reason != "r_error" && first.Reason != "bad_result" {
			return first.Err
		}
	}
	var body []byte
	var err error
	if p.o.Endpoint.OnError == "fail" && len(out.errors) > 0 {
		status, body = out.refusal(rows)
		want = mediaJSON
	} else if body, err = out.encode(want); err != nil {
		return err
	}
	for _, e := range out.errors {
		if status >= 500 && e.Err != nil {
			x.Err = e.Err
			break
		}
	}
	h := w.Header()
	h.Set("Content-Type", contentType(want))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Vary", "Accept")
	if n := len(out.errors); n > 0 {
		h.Set("Rpipe-Failed-Rows", strconv.Itoa(n))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone is no error of ours
	return nil
}

func contentType(m media) string {
	if m == mediaCSV {
		return "text/csv; charset=utf-8"
	}
	return string(m)
}

// addKeys puts the columns that are to be echoed before the results.
func (p *Predictor) addKeys(out *output, rows frame.Frame) error {
	if len(p.o.Endpoint.Keys) == 0 || out.frame == nil {
		return nil
	}
	keys, err := frame.Select(rows, p.o.Endpoint.Keys)
	if err != nil {
		return fault.New(http.StatusUnprocessableEntity, "invalid", "keys: "+err.Error())
	}
	if keys, err = frame.TakeOrNull(keys, out.place); err != nil {
		return err
	}
	columns := slices.Clone(keys.Schema().Fields())
	cols := slices.Clone(keys.Columns())
	for i, f := range out.frame.Schema().Fields() {
		if !slices.Contains(p.o.Endpoint.Keys, f.Name) {
			columns, cols = append(columns, f), append(cols, out.frame.Column(i))
		}
	}
	out.frame = frame.New(arrow.NewSchema(columns, nil), cols, len(out.place))
	return nil
}

// body is the request's body, whole.
func (p *Predictor) body(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) ([]byte, error) {
	most := int64(p.o.Endpoint.MaxBody)
	tooLarge := fault.New(http.StatusRequestEntityTooLarge, "too_large",
		fmt.Sprintf("the request has more than %v; send its rows in several", p.o.Endpoint.MaxBody))
	if b := x.Body; b != nil {
		switch {
		case b.Size > most:
			return nil, tooLarge
		case b.File == nil:
			return b.Data, nil
		}
		data, err := os.ReadFile(b.File.Name())
		if err != nil {
			return nil, fmt.Errorf("read the request's body: %w", err)
		}
		return data, nil
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var size *http.MaxBytesError
	switch {
	case errors.As(err, &size):
		return nil, tooLarge
	case err != nil:
		return nil, badRequest("read the request's body: %v", err)
	}
	return data, nil
}

func (p *Predictor) fail(w http.ResponseWriter, r *http.Request, err error) {
	p.o.Fault.Write(w, r, err)
}

// enter counts a request that comes in; leave must follow where it may.
func (p *Predictor) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return false
	}
	p.inside++
	return true
}

func (p *Predictor) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inside--; p.inside == 0 && p.draining {
		close(p.idle)
	}
}

// Drain refuses new requests, waits for those under way until ctx ends, which
// cancels them, and releases what the endpoint holds. It is called once.
func (p *Predictor) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.draining = true
	if p.inside == 0 {
		close(p.idle)
	}
	p.mu.Unlock()
	select {
	case <-p.idle:
	case <-ctx.Done():
	}
	err := p.scorer.drain(ctx)
	<-p.idle // soon: nothing holds a request any more
	return err
}
