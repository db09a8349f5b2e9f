package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	asyncWindow = 1024            // publications on their way, of one connection
	ackTimeout  = 5 * time.Second // of one
)

// Write is a change of one record.
type Write struct {
	Subject string
	Data    []byte
	Expect  uint64        // the record's revision before; 0: there must be none
	Any     bool          // whatever is there
	TTL     time.Duration // the record goes so long after this write, in whole seconds, at least one; 0 is never
	Delete  bool          // the record goes now
}

// pending is a Write on its way.
type pending struct {
	Write
	ctx     context.Context
	group   *group
	i       int    // its place there
	expect  uint64 // of the last message of the subject, which may be a marker
	tag     string // tells this write from all others
	unknown bool   // an attempt may have succeeded
}

// group are the Writes of one call.
type group struct {
	mu   sync.Mutex
	left int
	seqs []uint64
	errs []error
	done chan struct{}
}

// end settles one write.
func (p *pending) end(seq uint64, err error) {
	if err != nil {
		err = fmt.Errorf("write %s: %w", p.Subject, err)
	}
	g := p.group
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seqs[p.i], g.errs[p.i] = seq, err
	if g.left--; g.left == 0 {
		close(g.done)
	}
}

// Write changes a record, and is its new revision. It has been stored as Options say
// when Write returns. ErrConflict: the record is not at w.Expect. Another error leaves
// open whether it was written, unless it is ErrFull or ErrTooLarge.
//
// Writes that come while others are being stored go together with the next sync.
func (b *Broker) Write(ctx context.Context, w Write) (uint64, error) {
	seqs, errs := b.WriteAll(ctx, []Write{w})
	return seqs[0], errs[0]
}

// WriteAll does several Writes, each by itself: revisions and errors are in the order of
// ws.
func (b *Broker) WriteAll(ctx context.Context, ws []Write) ([]uint64, []error) {
	g := &group{left: len(ws), seqs: make([]uint64, len(ws)), errs: make([]error, len(ws)), done: make(chan struct{})}
	if len(ws) == 0 {
		return nil, nil
	}
	ctx, cancel := b.patient(ctx)
	defer cancel()
	full := b.hasRoom()
	all := make([]pending, len(ws))
	ps := make([]*pending, 0, len(ws))
	for i, w := range ws {
		all[i] = pending{Write: w, ctx: ctx, group: g, i: i, expect: w.Expect, tag: b.tag + strconv.FormatUint(b.writes.Add(1), 36)}
		if full != nil && w.Expect == 0 && !w.Any && !w.Delete {
			all[i].end(0, full) // what is there already may come to its end
			continue
		}
		ps = append(ps, &all[i])
	}
	if !b.grouped {
		b.singles(ctx, ps)
		return g.seqs, g.errs
	}
	b.commits.add(ps)
	select {
	case <-g.done:
		return g.seqs, g.errs
	case <-ctx.Done():
	case <-b.closed:
	}
	// What is on its way may still be stored.
	g.mu.Lock()
	defer g.mu.Unlock()
	seqs, errs := append([]uint64(nil), g.seqs...), append([]error(nil), g.errs...)
	for i := range ws {
		if errs[i] == nil && seqs[i] == 0 {
			errs[i] = fmt.Errorf("write %s: %w", ws[i].Subject, b.final(ctx, context.DeadlineExceeded))
		}
	}
	return seqs, errs
}

// message is what p sends.
func (p *pending) message() *nats.Msg {
	m := &nats.Msg{Subject: p.Subject, Data: p.Data, Header: nats.Header{headWrite: {p.tag}}}
	if !p.Any {
		m.Header[headExpect] = []string{strconv.FormatUint(p.expect, 10)}
	}
	switch {
	case p.Delete:
		m.Data = nil
		m.Header[headKV] = []string{"PURGE"}
		m.Header[headTTL] = []string{seconds(DeletionsKept)}
	case p.TTL > 0:
		m.Header[headTTL] = []string{seconds(p.TTL)}
	}
	return m
}

// seconds is a time to live for the server, which counts in whole ones.
func seconds(d time.Duration) string {
	return strconv.FormatInt(max(1, int64((d+time.Second-1)/time.Second)), 10)
}

// singles publishes each write by itself, and settles all of them.
func (b *Broker) singles(ctx context.Context, ps []*pending) {
	open := make(map[*pending]bool, len(ps))
	for _, p := range ps {
		open[p] = true
	}
	err := b.publishAll(ctx, len(ps), func(i int) *nats.Msg { return ps[i].message() }, func(i int, seq uint64, err error) bool {
		again := b.settle(ctx, ps[i], seq, err)
		if !again {
			delete(open, ps[i])
		}
		return again
	})
	for p := range open {
		p.end(0, b.final(ctx, err))
	}
}

// publishAll publishes messages, all on their way at the same time, and again those for
// which done says so, until there are none or the call is over, which is its error.
func (b *Broker) publishAll(ctx context.Context, n int, message func(i int) *nats.Msg, done func(i int, seq uint64, err error) (again bool)) error {
	todo := make([]int, n)
	for i := range todo {
		todo[i] = i
	}
	futures := make([]jetstream.PubAckFuture, n)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		for k, i := range todo {
			err := b.over(ctx)
			if err == nil {
				// a full window keeps each waiting
				stall := ackTimeout
				if end, has := ctx.Deadline(); has {
					stall = max(time.Millisecond, min(stall, time.Until(end)))
				}
				futures[k], err = b.js.PublishMsgAsync(message(i), jetstream.WithStallWait(stall))
			}
			if err != nil {
				futures[k] = refused{err}
			}
		}
		again := todo[:0]
		for k, i := range todo {
			if seq, err := outcome(ctx, futures[k]); done(i, seq, err) {
				again = append(again, i)
			}
		}
		if todo = again; len(todo) == 0 {
			return nil
		}
		if err := b.rest(ctx, pause); err != nil {
			return err
		}
	}
}

// refused is the future of a publication that could not be sent.
type refused struct{ err error }

func (r refused) Ok() <-chan *jetstream.PubAck { return nil }
func (r refused) Msg() *nats.Msg               { return nil }
func (r refused) Err() <-chan error {
	c := make(chan error, 1)
	c <- r.err
	return c
}

func outcome(ctx context.Context, f jetstream.PubAckFuture) (uint64, error) {
	select {
	case ack := <-f.Ok():
		return ack.Sequence, nil
	case err := <-f.Err():
		return 0, err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// settle ends p, or says that it is to be sent again.
func (b *Broker) settle(ctx context.Context, p *pending, seq uint64, err error) (again bool) {
	switch code, api := apiCode(err); {
	case err == nil:
		p.end(seq, nil)
	case api && code == codeWrongLast:
		return b.contested(ctx, p)
	case transient(err) && b.over(ctx) == nil:
		p.unknown = p.unknown || code != codeWrongLastInFlight
		return true
	default:
		p.end(0, b.final(ctx, err))
	}
	return false
}

// contested finds out why the server says that the record is another: it may be the
// marker of a deleted one, where there should be none; or p itself, whose first
// acknowledgement was lost.
func (b *Broker) contested(ctx context.Context, p *pending) (again bool) {
	if !p.unknown && p.Expect != 0 {
		p.end(0, ErrConflict)
		return false
	}
	r, h, err := b.last(ctx, recordStream, p.Subject)
	switch {
	case errors.Is(err, ErrNotFound) && p.Expect == 0:
		p.expect = 0 // a marker that has gone by now
		return true
	case errors.Is(err, ErrNotFound):
		p.end(0, ErrConflict)
	case err != nil:
		p.end(0, err)
	case h.Get(headWrite) == p.tag:
		p.end(r.Seq, nil)
	case p.Expect == 0 && r.Data == nil:
		p.expect = r.Seq
		return true
	default:
		p.end(0, ErrConflict)
	}
	return false
}
