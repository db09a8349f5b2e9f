package broker

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A server that syncs each message does so one by one. A batch costs one sync, however
// many it has, and half a millisecond of processor time.
const (
	batchFrom     = 3 // writes that are worth a batch; see BenchmarkBatchOrSingles
	batchFromSlow = 8 // where batches are staged on the disk

	batchMost  = 500     // writes in one; the server takes 1000
	batchBytes = 4 << 20 // of data in one, but for its first write

	bulk      = 64  // writes of one call that are worth a turn of their own
	bulkShare = 100 // of a batch, at least, for those
)

// committer stores writes together: those that come while it is storing some go next.
// Those of small calls go before those of large ones, which would keep them waiting for
// seconds.
type committer struct {
	b     *Broker
	mu    sync.Mutex
	small []*pending
	large []*pending
	wake  chan struct{} // has an element while there are some
}

func (c *committer) start(b *Broker) {
	c.b, c.wake = b, make(chan struct{}, 1)
	if b.grouped {
		b.running.Go(c.run)
	}
}

func (c *committer) add(ps []*pending) {
	c.mu.Lock()
	if len(ps) < bulk {
		c.small = append(c.small, ps...)
	} else {
		c.large = append(c.large, ps...)
	}
	c.mu.Unlock()
	c.signal()
}

func (c *committer) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *committer) run() {
	for {
		select {
		case <-c.wake:
		case <-c.b.closed:
			return
		}
		for ps := c.take(); len(ps) > 0; ps = c.take() {
			c.commit(ps)
		}
	}
}

// take is what goes together next: no two writes of one subject.
func (c *committer) take() []*pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := taken{seen: make(map[string]bool, min(len(c.small)+len(c.large), batchMost))}
	most := batchMost
	if len(c.large) > 0 {
		most -= bulkShare
	}
	c.small = t.from(c.small, most)
	c.large = t.from(c.large, batchMost)
	return t.ps
}

// taken is what a batch will have.
type taken struct {
	ps   []*pending
	size int // bytes
	seen map[string]bool
}

// from takes writes, up to so many in all, and is what is left of the queue.
func (t *taken) from(queue []*pending, most int) []*pending {
	var left []*pending
	for i, p := range queue {
		switch {
		case len(t.ps) >= most || t.size > batchBytes:
			if left == nil {
				return queue[i:] // a million, of which each batch takes a few
			}
			return append(left, queue[i:]...)
		case p.ctx.Err() != nil: // nobody waits for it any more
			p.end(0, p.ctx.Err())
			continue
		case t.seen[p.Subject]:
			left = append(left, p)
		default:
			t.ps = append(t.ps, p)
			t.size += len(p.Data)
		}
		t.seen[p.Subject] = true
	}
	return left
}

// commit stores ps, and settles all of them.
func (c *committer) commit(ps []*pending) {
	defer func(n int, start time.Time) { c.b.figures.add(n, time.Since(start)) }(len(ps), time.Now())
	// The context is that of all callers, each of which has its own for waiting.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	from := batchFrom
	if s := c.b.server; s != nil && s.staging == "" {
		from = batchFromSlow
	}
	for tries := 0; len(ps) >= from && tries < 4; tries++ {
		seq, err := c.b.batch(ctx, ps)
		if err == nil {
			for i, p := range ps {
				p.end(seq-uint64(len(ps)-1-i), nil)
			}
			return
		}
		code, api := apiCode(err)
		switch {
		case api && code == codeWrongLast:
			if ps, err = c.b.sift(ctx, ps); err != nil {
				c.b.log.Warn("task store: a batch has conflicts", "err", err)
			}
			continue
		case transient(err):
			for _, p := range ps {
				p.unknown = true
			}
		}
		// What is wrong with one of them, each by itself will say.
		break
	}
	c.b.singles(ctx, ps)
}

// sift settles those of ps whose record is not as they expect it, and is the others.
func (b *Broker) sift(ctx context.Context, ps []*pending) ([]*pending, error) {
	subjects := make([]string, len(ps))
	for i, p := range ps {
		subjects[i] = p.Subject
	}
	now, err := b.lastAll(ctx, recordStream, subjects)
	if err != nil {
		return ps, err
	}
	left := ps[:0:0]
	for i, p := range ps {
		if p.Any || now[i].Seq == p.expect || b.contested(ctx, p) {
			left = append(left, p)
		}
	}
	return left, nil
}

// batch stores ps, all or none, and is the sequence number of the last one. They have
// consecutive ones.
func (b *Broker) batch(ctx context.Context, ps []*pending) (seq uint64, err error) {
	id := b.tag + "b" + base36(b.writes.Add(1))
	err = b.try(ctx, 2*tryTimeout, func(ctx context.Context) error {
		for i, p := range ps {
			m := p.message()
			m.Header["Nats-Batch-Id"] = []string{id}
			m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
			if i < len(ps)-1 {
				if err := b.nc.PublishMsg(m); err != nil {
					return err
				}
				continue
			}
			m.Header["Nats-Batch-Commit"] = []string{"1"}
			answer, err := b.nc.RequestMsgWithContext(ctx, m)
			if err != nil {
				return err
			}
			seq, err = batchAck(answer, len(ps))
			return err
		}
		return nil
	})
	return seq, err
}

func batchAck(answer *nats.Msg, n int) (uint64, error) {
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Seq   uint64              `json:"seq"`
		Count int                 `json:"count"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("answer to a batch: %w", err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	if ack.Count != n {
		return 0, fmt.Errorf("answer to a batch of %d says that %d were stored", n, ack.Count)
	}
	return ack.Seq, nil
}
