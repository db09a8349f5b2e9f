package stages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// windows is an Aggregate with a window over a source that may have no end.
//
// Rows wait in their window, in memory or on the disk, with their shares of the
// reads they came from; what the window gives carries these on. So a read is
// settled when the output of all its windows is.
type windows struct {
	config *Aggregate
	env    *Env
	engine SQLEngine
	groups *grouped      // once the columns are known
	clock  *windowClock  // of the input
	source *frame.Schema // of the input
	take   []string      // columns that the query reads; nil for all

	open    map[int64]*openWindow // by start
	spool   windowSpool
	largest int64 // time that has come
	mark    int64 // windows that end there, or before, are closed
	begun   bool  // largest and mark mean something
	seq     uint64
	sent    bool
}

func newWindows(c *Aggregate, env *Env, engine SQLEngine) *windows {
	return &windows{config: c, env: env, engine: engine, open: map[int64]*openWindow{}, spool: windowSpool{env: env}}
}

func (w *windows) stage(ctx context.Context, in <-chan *Rows, out chan<- *Rows) error {
	defer func() {
		if w.groups != nil {
			w.groups.query.Close()
		}
	}()
	for {
		var idle <-chan time.Time
		if w.config.Window.Idle > 0 && len(w.open) > 0 {
			idle = time.After(time.Duration(w.config.Window.Idle))
		}
		b, ok, err := receiveUntil(ctx, in, idle)
		switch {
		case errors.Is(err, errIdle):
			err = w.closeAll(ctx, out)
		case err == nil && !ok && w.env.Ended != nil && !w.env.Ended():
			// A drain: what is open is not over. Its reads stay open as well, and
			// come again in the next run.
			return nil
		case err == nil && !ok:
			return w.end(ctx, out)
		case err == nil:
			if err = w.add(ctx, b); err == nil {
				err = w.closePassed(ctx, out)
			}
		}
		if err != nil {
			return err
		}
	}
}

// add puts the rows of a batch into their windows.
func (w *windows) add(ctx context.Context, b *Rows) error {
	if w.groups == nil {
		if err := w.prepare(ctx, b.Value.Schema()); err != nil {
			return err
		}
	}
	if sqlView(b.Value.Schema()) != sqlView(w.source) {
		return At(b, errors.New("the columns changed from one batch to the next"))
	}
	assigned := w.assign(b.Value)
	for _, rows := range assigned.late {
		if err := w.config.Window.reject(ctx, w.env, b, rows.rows, rows.why); err != nil {
			return err
		}
	}
	for _, p := range assigned.windows {
		if err := w.put(b, p.start, p.rows); err != nil {
			return At(b, err)
		}
	}
	b.Settle(nil) // the windows have shares of their own
	return w.spool.fit(w.open)
}

// put gives rows of b to a window.
func (w *windows) put(b *Rows, start int64, rows []int32) error {
	f := b.Value
	var err error
	if w.take != nil {
		if f, err = frame.Select(f, w.take); err != nil {
			return err
		}
	}
	if len(rows) < b.Rows {
		if f, err = frame.Take(f, rows); err != nil {
			return err
		}
	}
	if f, err = w.clock.extend(w.groups.in, f, func(int) int64 { return start }); err != nil {
		return err
	}
	o := w.open[start]
	if o == nil {
		if most := w.config.Window.MaxWindows; len(w.open) >= most {
			return fmt.Errorf("more than %d windows are open at once, from %s to %s, and window.max_windows allows no more: make windows longer or the lateness shorter, or raise it",
				most, w.name(slices.Min(w.starts())), w.name(max(start, slices.Max(w.starts()))))
		}
		o = &openWindow{start: start}
		w.open[start] = o
	}
	o.keep(b.Origins)
	return w.spool.add(o, f)
}

// prepare makes the query, over the columns that it reads alone: others are not
// kept.
func (w *windows) prepare(ctx context.Context, in *frame.Schema) error {
	g, err := w.config.prepare(ctx, w.engine, in)
	if err != nil {
		return err
	}
	w.groups, w.clock, w.source = g, g.clock, in
	uses := append(g.query.Uses(), w.config.Window.Time)
	for _, f := range in.Fields() {
		if slices.Contains(uses, f.Name) {
			w.take = append(w.take, f.Name)
		}
	}
	if len(w.take) == in.NumFields() {
		w.take = nil
		return nil
	}
	less, _, err := frame.SelectSchema(in, w.take)
	if err != nil {
		return err
	}
	g.query.Close()
	w.groups, err = w.config.prepare(ctx, w.engine, less)
	return err
}

func (w *windows) starts() []int64 {
	starts := make([]int64, 0, len(w.open))
	for s := range w.open {
		starts = append(starts, s)
	}
	slices.Sort(starts)
	return starts
}

func (w *windows) name(start int64) string { return w.clock.name(start) }

// closePassed sends the windows that are over, in order.
func (w *windows) closePassed(ctx context.Context, out chan<- *Rows) error {
	for _, s := range w.starts() {
		if s+w.clock.every > w.mark {
			break
		}
		if err := w.close(ctx, w.open[s], out); err != nil {
			return err
		}
	}
	return nil
}

// closeAll sends all windows; later rows of theirs are late.
func (w *windows) closeAll(ctx context.Context, out chan<- *Rows) error {
	for _, s := range w.starts() {
		w.mark = max(w.mark, s+w.clock.every)
		if err := w.close(ctx, w.open[s], out); err != nil {
			return err
		}
	}
	return nil
}

// end sends what is open, or at least the columns.
func (w *windows) end(ctx context.Context, out chan<- *Rows) error {
	if err := w.closeAll(ctx, out); err != nil {
		return err
	}
	if w.sent || w.groups == nil {
		return nil
	}
	return Send(ctx, out, &Rows{Value: frame.Empty(w.groups.schema)})
}

// close runs the query over a window. What comes out carries the shares of its rows.
func (w *windows) close(ctx context.Context, o *openWindow, out chan<- *Rows) error {
	delete(w.open, o.start)
	next, done := w.spool.read(o)
	defer done()
	var last *Rows // of the output: it takes the shares themselves
	send := func(origins []*Origin) error {
		last.Origins = origins
		w.sent = true
		return Send(ctx, out, last)
	}
	o.release()
	err := w.groups.run(ctx, next, func(f frame.Frame) error {
		if f.NumRows() == 0 {
			return nil
		}
		if last != nil {
			if err := send(share(o.origins)); err != nil {
				return err
			}
		}
		last = &Rows{Value: f, Rows: int(f.NumRows()), Bytes: frame.Bytes(f), Seq: w.seq}
		w.seq++
		return nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("window %s: %w", w.name(o.start), err)
	case last == nil: // having left no group
		(&Rows{Origins: o.origins}).Settle(nil)
		return nil
	}
	return send(o.origins)
}
