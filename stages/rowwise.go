package stages

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// SQLErrors says what becomes of rows for which an expression fails: filter and
// derive embed it.
type SQLErrors struct {
	OnError   string     `yaml:"on_error" default:"stop" enum:"stop|skip|dead_letter" doc:"What to do with rows whose values make an expression fail, by a cast or an overflow: stop ends the run; skip drops just those rows and counts them; dead_letter writes them to the pipeline's dead_letter with the error, and goes on."`
	MaxFailed *MaxFailed `yaml:"max_failed" doc:"Ends a run that skips or sets aside too many rows."`
}

// DeadLetters reports whether rows that fail go to the dead letter.
func (c *SQLErrors) DeadLetters() bool { return c.OnError == "dead_letter" }

// rowwise is a filter or derive: a query over each batch, several at once.
type rowwise struct {
	prepare func(in *frame.Schema) (SQLColumns, error)
	apply   func(f, computed frame.Frame) (frame.Frame, error)

	stop     bool
	failures *failures

	mu       sync.Mutex
	prepared map[string]SQLColumns // by what SQL sees of the schema
}

// rowwiseRun is one stream through it.
type rowwiseRun struct {
	*rowwise
	sent  atomic.Bool // something went on
	empty atomic.Pointer[Rows]
}

func newRowwise(c *SQLErrors, env *Env) *rowwise {
	errs := &OnError{OnError: c.OnError, MaxFailed: c.MaxFailed}
	return &rowwise{stop: errs.stops(), failures: newFailures(errs, env), prepared: map[string]SQLColumns{}}
}

func (r *rowwise) stage(workers int) Stage[frame.Frame, frame.Frame] {
	return func(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
		run := &rowwiseRun{rowwise: r}
		if err := Parallel(workers, true, run.batch)(ctx, in, out); err != nil {
			return err
		}
		if b := run.empty.Load(); b != nil && !run.sent.Load() {
			return Send(ctx, out, b) // nothing is left but the schema, which a sink can use
		}
		return nil
	}
}

func (r *rowwiseRun) batch(ctx context.Context, b *Rows) (*Rows, error) {
	seen := plain(b.Value)
	columns, err := r.columns(seen.Schema())
	if err != nil {
		return nil, err
	}
	limit := func(error) int {
		if r.stop {
			return 0
		}
		return b.Rows // a query is cheap: take apart until each bad row is alone
	}
	fatal := func(err error) bool { return !isRowError(err) }
	pieces, err := salvage(b.Rows, limit, fatal, func(from, to int) (frame.Frame, error) {
		computed, err := columns.Eval(ctx, sliceRows(seen, from, to))
		if err != nil {
			return nil, err
		}
		return r.apply(sliceRows(b.Value, from, to), computed)
	})
	if err != nil {
		return nil, At(b, err)
	}
	var good []frame.Frame
	for _, p := range pieces {
		if p.err == nil {
			good = append(good, p.value)
			r.failures.passed(p.to - p.from)
			continue
		}
		if r.stop {
			return nil, At(b, p.err)
		}
		if err := r.failures.reject(ctx, b, p.from, p.to, 1, p.whole, p.err); err != nil {
			return nil, err
		}
	}
	return r.result(b, good)
}

// result is the batch of what is left, or nil.
func (r *rowwiseRun) result(b *Rows, good []frame.Frame) (*Rows, error) {
	if len(good) == 0 {
		b.Settle(nil)
		return nil, nil
	}
	f, err := frame.Concat(good...)
	if err != nil {
		return nil, At(b, err)
	}
	if f.NumRows() == 0 && b.Rows > 0 {
		r.empty.CompareAndSwap(nil, &Rows{Value: f, Seq: b.Seq, First: b.First, Epoch: b.Epoch})
		b.Settle(nil)
		return nil, nil
	}
	r.sent.Store(true)
	return WithFrame(b, f), nil
}

// columns are the expressions prepared for a schema. As a rule there is one for
// a whole run.
func (r *rowwise) columns(in *frame.Schema) (SQLColumns, error) {
	key := sqlView(in)
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.prepared[key]; c != nil {
		return c, nil
	}
	c, err := r.prepare(in)
	if err == nil {
		r.prepared[key] = c
	}
	return c, err
}

// sqlView is what SQL sees of a schema: names and types, not the metadata.
func sqlView(s *frame.Schema) string {
	var b strings.Builder
	for i := range s.NumFields() {
		f := s.Field(i)
		b.WriteString(f.Name)
		b.WriteByte(0)
		t := f.Type
		if d, ok := t.(*arrow.DictionaryType); ok {
			t = d.ValueType
		}
		b.WriteString(t.String())
		b.WriteByte(0)
	}
	return b.String()
}
