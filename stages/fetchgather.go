package stages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
)

// gathering is the rows of one epoch that go on together.
type gathering struct {
	epoch uint64
	rows  []*fetchedRow
	bytes int
	first time.Time // when its first row came
}

// gather adds a row to the batch of its epoch, and sends what is full.
func (f *fetcher) gather(ctx context.Context, r *fetchedRow) error {
	if !f.env.Interactive {
		if err := f.absent.look(r, f.warn); err != nil {
			return err
		}
	}
	epoch := r.in.batch.Epoch
	g := f.gathered[epoch]
	if g == nil {
		g = &gathering{epoch: epoch, first: time.Now()}
		f.gathered[epoch] = g
	}
	g.rows = append(g.rows, r)
	g.bytes += r.bytes()
	f.waiting++
	if !f.shape.decided() {
		if f.waiting < f.config.InferRows {
			return nil
		}
		if err := f.decide(); err != nil {
			return err
		}
	}
	if len(g.rows) >= gatherRows || g.bytes >= gatherBytes {
		return f.flush(ctx, g, "rows")
	}
	return nil
}

// due is when something is to be done though nothing comes; zero is never.
func (f *fetcher) due() (at time.Time) {
	if len(f.suspects) > 0 && f.idle() || f.waiting > 0 && !f.shape.decided() {
		return f.quiet.Add(f.patience())
	}
	if f.shape.decided() {
		for _, g := range f.gathered {
			if t := g.first.Add(gatherTime); at.IsZero() || t.Before(at) {
				at = t
			}
		}
	}
	return at
}

// idle reports whether every row that came has been dealt with.
func (f *fetcher) idle() bool { return f.open == 0 && f.current == nil }

// patience is how long rows are held back for more when nothing comes: more may
// not come before they go on, and one slow request must not hold them for long.
func (f *fetcher) patience() time.Duration {
	if f.idle() {
		return stuckCheck
	}
	return inferQuiet
}

// flushDue sends what has waited long enough.
func (f *fetcher) flushDue(ctx context.Context) error {
	quiet := time.Since(f.quiet) >= f.patience()
	switch {
	case quiet && f.idle() && len(f.suspects) > 0:
		if !f.accepted.Load() {
			return f.accuse()
		}
		return f.absolve(ctx)
	case quiet && f.waiting > 0 && !f.shape.decided():
		return f.flushAll(ctx, "period")
	case !f.shape.decided():
		return nil
	}
	for _, g := range f.byEpoch() {
		if time.Since(g.first) >= gatherTime {
			if err := f.flush(ctx, g, "period"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fetcher) byEpoch() []*gathering {
	var all []*gathering
	for _, g := range f.gathered {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *gathering) int { return cmp.Compare(a.epoch, b.epoch) })
	return all
}

func (f *fetcher) flushAll(ctx context.Context, reason string) error {
	if f.waiting > 0 && !f.shape.decided() {
		if err := f.decide(); err != nil {
			return err
		}
	}
	for _, g := range f.byEpoch() {
		if err := f.flush(ctx, g, reason); err != nil {
			return err
		}
	}
	return nil
}

// decide infers the columns from the rows that are here.
func (f *fetcher) decide() error {
	all := f.byEpoch()
	var rows []*fetchedRow
	for _, g := range all {
		rows = append(rows, g.rows...)
	}
	f.shape.infer(f.requests, rows)
	return f.keep(all[0].epoch)
}

// flush makes a batch of the rows of one epoch, and sends it.
func (f *fetcher) flush(ctx context.Context, g *gathering, reason string) error {
	delete(f.gathered, g.epoch)
	f.waiting -= len(g.rows)
	// Rows of one batch stand together, to be taken from it at once.
	slices.SortStableFunc(g.rows, func(a, b *fetchedRow) int {
		return cmp.Or(cmp.Compare(a.in.number, b.in.number), cmp.Compare(a.row, b.row))
	})
	b, err := f.batch(ctx, g)
	if err != nil {
		return err
	}
	for _, r := range g.rows {
		if r.err == nil {
			r.leave()
		}
	}
	if b == nil {
		return nil
	}
	f.view.cut(reason)
	f.sent = true
	return Send(ctx, f.out, b)
}

// batch is the output's; nil where no row is left. Rows that do not fit the
// columns are rejected.
func (f *fetcher) batch(ctx context.Context, g *gathering) (*Rows, error) {
	if f.makers == nil {
		f.makers = f.shape.makers()
	}
	var parts []frame.Frame
	var origins []*Origin
	var taken []int32
	passed := 0
	end := func(in *fetchInput) error {
		if len(taken) == 0 {
			return nil
		}
		rows, err := takeRows(in.batch.Value, taken)
		if err != nil {
			return At(in.batch, err)
		}
		parts = append(parts, rows)
		origins = append(origins, share(in.batch.Origins)...)
		taken = nil
		return nil
	}
	for i, r := range g.rows {
		n, err := f.appendRow(r)
		if err != nil {
			r.err, r.tries = err, 1
			if f.failures.config.stops() {
				return nil, r.failure()
			}
			if err := f.reject(ctx, r); err != nil {
				return nil, err
			}
		} else {
			passed++
			for range n {
				taken = append(taken, int32(r.row))
			}
		}
		if i+1 == len(g.rows) || g.rows[i+1].in != r.in {
			if err := end(r.in); err != nil {
				return nil, err
			}
		}
	}
	f.failures.passed(passed)
	if len(parts) == 0 {
		return nil, nil
	}
	value, err := f.assemble(parts)
	if err != nil {
		return nil, err
	}
	b := &Rows{Value: value, Rows: int(value.NumRows()), Bytes: frame.Bytes(value), Seq: f.seq, Epoch: g.epoch, Origins: origins}
	f.seq++
	return b, nil
}

// takeRows is the rows of f with these numbers.
func takeRows(f frame.Frame, numbers []int32) (frame.Frame, error) {
	for i, n := range numbers {
		if n != numbers[0]+int32(i) {
			return frame.Take(f, numbers)
		}
	}
	return sliceRows(f, int(numbers[0]), int(numbers[0])+len(numbers)), nil
}

// assemble joins the input's rows and the answers' columns.
func (f *fetcher) assemble(parts []frame.Frame) (frame.Frame, error) {
	in, err := frame.Concat(parts...)
	if err != nil {
		return nil, err
	}
	schema, err := f.shape.schema(in.Schema())
	if err != nil {
		return nil, err
	}
	columns := make([]arrow.Array, 0, schema.NumFields())
	for i := range int(in.NumCols()) {
		columns = append(columns, in.Column(i))
	}
	for i := range f.makers {
		if columns, err = f.makers[i].take(columns); err != nil {
			return nil, err
		}
	}
	return frame.New(schema, columns, int(in.NumRows())), nil
}

// partMaker builds the columns of one request.
type partMaker struct {
	json   *ndjson.Parser
	beside *frame.Builder
}

func (s fetchShape) makers() []partMaker {
	out := make([]partMaker, len(s))
	for i, p := range s {
		out[i] = partMaker{
			json:   ndjson.NewParser(p.json, ndjson.Options{Ignore: true}),
			beside: frame.NewBuilderSize(arrow.NewSchema(p.beside, nil), 0),
		}
	}
	return out
}

// take hands over the columns so far.
func (m *partMaker) take(columns []arrow.Array) ([]arrow.Array, error) {
	for _, b := range []*frame.Builder{m.json.Builder, m.beside} {
		for i := range b.Schema().NumFields() {
			a, err := b.Column(i).Array()
			if err != nil {
				return nil, err
			}
			columns = append(columns, a)
		}
	}
	return columns, nil
}

// appendRow adds the answers of a row to the columns; n is how many rows they
// make. After an error nothing of it is there.
func (f *fetcher) appendRow(r *fetchedRow) (n int, err error) {
	n = 1
	for i, q := range f.requests {
		if q.each != nil && r.answers[i].records != nil {
			n = len(r.answers[i].records)
		}
	}
	for i, q := range f.requests {
		if err := f.makers[i].add(q, &r.answers[i], n); err != nil {
			err = fmt.Errorf("%s%w", q.label(), err)
			for k := range i { // the others have this row already
				f.makers[k].drop(n)
			}
			return 0, err
		}
	}
	return n, nil
}

// add adds an answer to n rows, or, where it fails, to none.
func (m *partMaker) add(q *compiledRequest, a *fetchAnswer, n int) error {
	for k := range n {
		var record []byte
		switch {
		case len(a.records) == 0:
		case q.each != nil:
			record = a.records[k]
		default:
			record = a.records[0]
		}
		if err := m.addRecord(record); err != nil {
			for i := range m.json.Schema().NumFields() {
				c := m.json.Column(i)
				c.Truncate(c.Len() - k)
			}
			return err
		}
	}
	for range n {
		m.addBeside(q, a)
	}
	return nil
}

func (m *partMaker) addRecord(record []byte) error {
	if record == nil {
		for i := range m.json.Schema().NumFields() {
			m.json.Column(i).AppendNull()
		}
		return nil
	}
	err := m.json.Append(record)
	var conflict *frame.ConflictError
	if errors.As(err, &conflict) {
		return fmt.Errorf("column %q: %s in the answer (%s) does not fit %s, the type that was declared or that the first answers had; declare its type in response.columns",
			conflict.Column, conflict.Value, conflict.Have, conflict.Want)
	}
	return err
}

func (m *partMaker) addBeside(q *compiledRequest, a *fetchAnswer) {
	at := 0
	column := func() *frame.Column { at++; return m.beside.Column(at - 1) }
	if q.Response.bodyColumn() != "" {
		if c := column(); a.asked {
			c.AppendBytes(a.body)
		} else {
			c.AppendNull()
		}
	}
	if q.Response.Status != "" {
		if c := column(); a.asked {
			c.AppendInt32(int32(a.status))
		} else {
			c.AppendNull()
		}
	}
	for i := range q.Response.Headers {
		if c := column(); a.asked && a.header[i] != "" {
			c.AppendString(a.header[i])
		} else {
			c.AppendNull()
		}
	}
}

// drop takes the last n rows back.
func (m *partMaker) drop(n int) {
	for _, b := range []*frame.Builder{m.json.Builder, m.beside} {
		for i := range b.Schema().NumFields() {
			c := b.Column(i)
			c.Truncate(c.Len() - n)
		}
	}
}
