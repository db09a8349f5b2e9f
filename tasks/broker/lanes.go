package broker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/rpipe-dev/rpipe/tasks"
)

const (
	pullExpires = 10 * time.Second // of a request that waits for work
	pullAnswer  = 2 * time.Second  // at most, of one that does not wait
	// holdFor is how long work that came while nobody had room stays here, for those
	// who have soon, before it is given back.
	holdFor = 20 * time.Millisecond
)

// Lanes claims work of several queues in strict order: what is in the first queue before
// the second, in each the lanes by number. A lane that is known to be empty has an open
// request at the server, which answers it when work comes; the others are asked in
// order. So an idle process waits without asking, and gets what comes at once.
type Lanes struct {
	b     *Broker
	inbox string
	sub   *nats.Subscription
	stop  func()

	next sync.Mutex // held by the one Next that runs

	mu      sync.Mutex
	order   []*lane
	byName  map[string]*lane
	got     []*Delivery // came, and not yet given out
	active  bool        // a Next runs
	closed  bool
	changed chan struct{} // has an element after got, a lane or the order changed
	serial  int
}

// Lanes begins to claim work of queues, in this order of priority.
func (b *Broker) Lanes(ctx context.Context, queues []string) (*Lanes, error) {
	l := &Lanes{b: b, inbox: b.nc.NewInbox(), byName: map[string]*lane{}, changed: make(chan struct{}, 1)}
	if err := l.SetQueues(ctx, queues); err != nil {
		return nil, err
	}
	var err error
	if l.sub, err = b.nc.Subscribe(l.inbox+".*", l.take); err != nil {
		return nil, fmt.Errorf("lanes: %w", explain(err))
	}
	l.stop = b.whenBack(l.reset)
	return l, nil
}

// SetQueues changes the queues and their order. It may be called while Next waits.
func (l *Lanes) SetQueues(ctx context.Context, queues []string) error {
	for _, q := range queues {
		for n := range tasks.Lane(tasks.Lanes) {
			if err := l.b.persist(ctx, func(ctx context.Context) error { return l.b.ensureLane(ctx, q, n) }); err != nil {
				return fmt.Errorf("lanes: queue %s: %w", q, err)
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.byName
	l.byName, l.order = map[string]*lane{}, nil
	for _, q := range queues {
		for n := range tasks.Lane(tasks.Lanes) {
			name := consumerName(q, n)
			if l.byName[name] != nil {
				continue // named twice
			}
			a := was[name]
			if a == nil {
				a = &lane{queue: q, number: n, consumer: name}
			}
			a.rank = len(l.order)
			l.byName[name] = a
			l.order = append(l.order, a)
		}
	}
	l.signal()
	return nil
}

// take gets each message of the server, in the connection's goroutine.
func (l *Lanes) take(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if status := m.Header.Get(headStatus); status != "" {
		l.status(m.Subject, status, m.Header.Get("Description"))
		return
	}
	d, consumer, err := l.delivery(m)
	if err != nil {
		l.b.log.Error("task store: work that cannot be read", "subject", m.Subject, "err", err)
		return
	}
	a := l.byName[consumer]
	if a != nil {
		d.rank = a.rank
		a.pending, a.fresh = d.pending, true
		a.came++
		if a.asked > 0 {
			a.asked--
		}
	}
	if a == nil || l.closed {
		d.giveBack()
		return
	}
	l.got = append(l.got, d)
	if l.active {
		l.signal()
		return
	}
	time.AfterFunc(holdFor, l.release)
}

// status is the server's word on a request: it is at its end.
func (l *Lanes) status(inbox, status, text string) {
	for _, a := range l.order {
		if a.request != inbox || a.asked == 0 {
			continue
		}
		switch {
		case status == "100":
			return
		case status == "503", strings.Contains(text, "Consumer Deleted"):
			a.missing = true
		}
		a.asked = 0
		l.signal()
		return
	}
}

// delivery reads a message of work.
func (l *Lanes) delivery(m *nats.Msg) (*Delivery, string, error) {
	w, err := parseWork(m.Subject)
	if err != nil {
		return nil, "", err
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, "", err
	}
	d := &Delivery{
		Work: w, Redelivered: int(meta.NumDelivered) - 1, reply: m.Reply, nc: l.b.nc, pending: meta.NumPending, came: time.Now(),
	}
	if rev := m.Header.Get(headRev); rev != "" {
		if d.Told.Rev, err = strconv.ParseUint(rev, 10, 64); err != nil {
			return nil, "", fmt.Errorf("%q is no revision: %w", rev, err)
		}
		d.Told.Data = m.Data
	}
	return d, meta.Consumer, nil
}

func (d *Delivery) giveBack() {
	if err := d.Nak(0); err != nil {
		return // it comes back by itself, after AckWait
	}
}

// release gives back what has been held for too long.
func (l *Lanes) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.active {
		return
	}
	l.got = slices.DeleteFunc(l.got, func(d *Delivery) bool {
		old := time.Since(d.came) >= holdFor
		if old {
			d.giveBack()
		}
		return old
	})
}

// signal says that something has changed, with l.mu held.
func (l *Lanes) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// reset forgets all requests: the server that had them is gone.
func (l *Lanes) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.order {
		a.asked, a.retry = 0, time.Time{}
	}
	l.signal()
}

// Next waits for work and claims at most n, the first first. It returns when there is
// some, with what else is to be had at once. One Next runs at a time.
func (l *Lanes) Next(ctx context.Context, n int) ([]*Delivery, error) {
	l.next.Lock()
	defer l.next.Unlock()
	l.mu.Lock()
	l.active = true
	for _, a := range l.order {
		a.fresh = false
	}
	l.mu.Unlock()
	defer l.idle()
	for {
		if err := l.askInOrder(ctx, n); err != nil {
			return l.give(n), l.unless(err)
		}
		if ds := l.give(n); len(ds) > 0 {
			return ds, nil
		}
		if err := l.wait(ctx); err != nil {
			return l.give(n), l.unless(err)
		}
	}
}

func (l *Lanes) unless(err error) error {
	if err != nil {
		return fmt.Errorf("lanes: %w", err)
	}
	return nil
}

// give is what a Next returns: the first n of what came; the rest goes back.
func (l *Lanes) give(n int) []*Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.got, func(a, b *Delivery) int { return cmp.Compare(a.rank, b.rank) })
	n = min(n, len(l.got))
	ds := slices.Clone(l.got[:n])
	for _, d := range l.got[n:] {
		d.giveBack()
	}
	l.got = nil
	return ds
}

// idle is the end of a Next. What came in its last moment is held as what comes later.
func (l *Lanes) idle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active = false
	if len(l.got) > 0 {
		time.AfterFunc(holdFor, l.release)
	}
}

// askInOrder asks each lane without an open request for what there is room for, and
// waits for its answer before it asks the next.
func (l *Lanes) askInOrder(ctx context.Context, n int) error {
	l.findMissing(ctx)
	for rank := 0; ; rank++ {
		if err := l.b.over(ctx); err != nil {
			return err
		}
		l.mu.Lock()
		if l.closed {
			l.mu.Unlock()
			return ErrClosed
		}
		if rank >= len(l.order) {
			l.mu.Unlock()
			return nil
		}
		a := l.order[rank]
		room := n
		for _, d := range l.got {
			if d.rank <= rank {
				room--
			}
		}
		skip := a.missing || a.asked > 0 && time.Now().Before(a.until) || a.fresh && a.pending == 0
		l.mu.Unlock()
		if room <= 0 {
			return nil
		}
		if skip {
			continue
		}
		if err := l.askNow(ctx, a, room); err != nil {
			return err
		}
		l.mu.Lock()
		empty := a.came < room && !a.missing
		l.mu.Unlock()
		if empty { // and it says so when it is no longer
			if err := l.waitFor(a); err != nil {
				return err
			}
		}
	}
}

// waitFor leaves a request open at a lane.
func (l *Lanes) waitFor(a *lane) error {
	return l.request(a, 1, pullExpires+time.Second, fmt.Sprintf(`{"batch":1,"expires":%d}`, pullExpires))
}

// askNow asks a lane for what it has, and waits until it has answered.
func (l *Lanes) askNow(ctx context.Context, a *lane, room int) error {
	if err := l.request(a, room, pullAnswer, fmt.Sprintf(`{"batch":%d,"no_wait":true}`, room)); err != nil {
		return err
	}
	t := time.NewTimer(pullAnswer)
	defer t.Stop()
	for {
		l.mu.Lock()
		done := a.asked == 0 || l.closed
		l.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-l.changed:
		case <-t.C:
			l.mu.Lock()
			a.asked = 0
			l.mu.Unlock()
			return nil
		case <-l.b.closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// request sends a request for work of a lane.
func (l *Lanes) request(a *lane, n int, within time.Duration, body string) error {
	l.mu.Lock()
	l.serial++
	a.request, a.asked, a.until, a.fresh, a.came = l.inbox+"."+base36(uint64(l.serial)), n, time.Now().Add(within), false, 0
	inbox := a.request
	l.mu.Unlock()
	if err := l.b.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+workStream+"."+a.consumer, inbox, []byte(body)); err != nil {
		l.mu.Lock()
		a.asked = 0
		l.mu.Unlock()
		return explain(err)
	}
	return nil
}

// wait leaves a request open at every lane, and returns when something has come or a
// request has ended.
func (l *Lanes) wait(ctx context.Context) error {
	l.mu.Lock()
	order, soonest := slices.Clone(l.order), time.Now().Add(pullExpires+time.Second)
	l.mu.Unlock()
	missing := false
	for _, a := range order {
		l.mu.Lock()
		open := a.asked > 0 && time.Now().Before(a.until)
		if open && a.until.Before(soonest) {
			soonest = a.until
		}
		missing = missing || a.missing
		skip := open || a.missing
		l.mu.Unlock()
		if skip {
			continue
		}
		if err := l.waitFor(a); err != nil {
			return err
		}
	}
	if missing {
		soonest = time.Now().Add(500 * time.Millisecond)
	}
	t := time.NewTimer(time.Until(soonest))
	defer t.Stop()
	select {
	case <-l.changed:
	case <-t.C:
	case <-l.b.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// Close gives back what came and was not claimed. A Next that waits ends with ErrClosed.
func (l *Lanes) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.closed = true
	for _, d := range l.got {
		d.giveBack()
	}
	l.got = nil
	l.signal()
	l.mu.Unlock()
	l.stop()
	l.next.Lock() // the Next that ran has ended
	defer l.next.Unlock()
	if !l.b.nc.IsConnected() {
		l.sub.Unsubscribe() //nolint:errcheck // the server knows nothing of it any more
		return
	}
	// What the server has already sent still comes while the subscription drains.
	drained := make(chan struct{})
	l.sub.SetClosedHandler(func(string) { close(drained) })
	if err := l.sub.Drain(); err != nil {
		return
	}
	select {
	case <-drained:
	case <-time.After(2 * time.Second):
	}
}
