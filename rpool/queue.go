package rpool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// waiter is one caller that waits for a worker.
type waiter struct {
	crew       *crew
	pri        Priority
	ticket     uint64 // order of arrival over the whole pool
	since      time.Time
	queued     bool
	next, prev *waiter
	got        chan grant // of capacity 1, so that granting never blocks
}

// grant is what a waiter gets: a member that is leased to it, or an error.
type grant struct {
	m   *member
	err error
}

// line is those who wait for one crew with one priority, in order of arrival.
type line struct {
	head, tail *waiter
	length     int
}

func (l *line) push(w *waiter) {
	w.queued, w.prev, w.next = true, l.tail, nil
	if l.tail == nil {
		l.head = w
	} else {
		l.tail.next = w
	}
	l.tail = w
	l.length++
}

func (l *line) remove(w *waiter) {
	if w.prev == nil {
		l.head = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.tail = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.queued, w.prev, w.next = false, nil, nil
	l.length--
}

// hopeless is how long the next attempt to start an environment may be off for
// those who wait at their screens, and for tasks, to wait for it.
const hopeless = time.Second

// enqueue puts the caller at the end of its line. p.mu is held.
func (p *Pool) enqueue(c *crew, pri Priority) (*waiter, error) {
	if pri != Bulk && c.failure != nil && len(c.members)+c.claims == 0 && time.Until(c.notBefore) > hopeless {
		return nil, c.failure
	}
	if n := p.waiting[pri]; n >= p.o.QueueLength {
		c.counts.QueueFull++
		return nil, fmt.Errorf("%w: %d requests wait", ErrQueueFull, n)
	}
	return p.stand(c, pri), nil
}

// stand puts somebody at the end of a line, however long it is. p.mu is held.
func (p *Pool) stand(c *crew, pri Priority) *waiter {
	w := p.spareWaiters.Get().(*waiter)
	p.ticket++
	w.crew, w.pri, w.ticket, w.since = c, pri, p.ticket, time.Now()
	c.lines[pri].push(w)
	p.waiting[pri]++
	return w
}

// dequeue takes w out of its line and hands it g. p.mu is held.
func (p *Pool) dequeue(w *waiter, g grant) {
	waited := p.abandon(w)
	w.crew.counts.QueueWait += waited
	w.crew.counts.QueueWaitMax = max(w.crew.counts.QueueWaitMax, waited)
	w.got <- g
}

// abandon takes w out of its line, and says how long it stood there. p.mu is held.
func (p *Pool) abandon(w *waiter) time.Duration {
	w.crew.lines[w.pri].remove(w)
	p.waiting[w.pri]--
	waited := time.Since(w.since)
	p.waits[w.pri].observe(waited)
	return waited
}

// await waits until w is served, gives up, or its context ends. Whoever stops
// waiting at the very moment of being served gives the worker back.
func (p *Pool) await(ctx context.Context, w *waiter) (*member, error) {
	var patience <-chan time.Time
	if p.o.QueueWait > 0 {
		timer := time.NewTimer(p.o.QueueWait)
		defer timer.Stop()
		patience = timer.C
	}
	var err error
	select {
	case g := <-w.got:
		p.spareWaiters.Put(w)
		return g.m, g.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-patience:
		err = fmt.Errorf("%w: waited %v", ErrQueueWait, p.o.QueueWait)
	}

	p.mu.Lock()
	failure := w.crew.failure
	if w.queued {
		p.abandon(w)
		if errors.Is(err, ErrQueueWait) {
			w.crew.counts.QueueTimeouts++
		} else {
			w.crew.counts.QueueCanceled++
		}
		p.schedule()
		p.mu.Unlock()
	} else {
		p.mu.Unlock()
		if g := <-w.got; g.m != nil {
			p.release(g.m)
		}
	}
	p.spareWaiters.Put(w)
	if failure != nil && errors.Is(err, ErrQueueWait) {
		err = fmt.Errorf("%w; the last start of its R environment failed: %w", err, failure)
	}
	return nil, err
}

// dispatch gives idle workers to those who wait for their environment:
// by priority, then in order of arrival. p.mu is held.
func (p *Pool) dispatch() {
	for pri := range p.waiting {
		for p.waiting[pri] > 0 && p.mayLease(Priority(pri)) {
			var first *waiter
			for _, c := range p.order {
				if w := c.lines[pri].head; w != nil && len(c.idle) > 0 && (first == nil || w.ticket < first.ticket) {
					first = w
				}
			}
			if first == nil {
				break
			}
			if m := p.pop(first.crew); m != nil {
				p.lease(m, first.pri)
				p.dequeue(first, grant{m: m})
			}
		}
	}
}

// mayLease reports whether one more lease of that priority is within Max and
// Reserve. p.mu is held.
func (p *Pool) mayLease(pri Priority) bool {
	return p.leased < p.o.Max && (pri == Interactive || p.lower < p.o.Max-p.o.Reserve)
}

// ahead reports whether a goes before b.
func ahead(a, b *waiter) bool {
	return a.pri < b.pri || a.pri == b.pri && a.ticket < b.ticket
}
