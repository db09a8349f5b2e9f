package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const livePrefix = "rp.live."

// Announce says that key, such as worker.<id>, is alive, with data about it, until ttl
// (whole seconds) has passed or Withdrawn is called. It is kept in memory: an embedded
// store that starts anew has forgotten it.
func (b *Broker) Announce(ctx context.Context, key string, data []byte, ttl time.Duration) error {
	m := &nats.Msg{Subject: livePrefix + key, Data: data, Header: nats.Header{headTTL: {seconds(ttl)}}}
	if _, err := b.publish(ctx, m); err != nil {
		return fmt.Errorf("announce %s: %w", key, err)
	}
	return nil
}

// Withdrawn says that key is no more.
func (b *Broker) Withdrawn(ctx context.Context, key string) error {
	if _, err := b.publish(ctx, tombstone(key)); err != nil {
		return fmt.Errorf("withdraw %s: %w", key, err)
	}
	return nil
}

// tombstone takes the place of a key for as long as a Watch may be behind.
func tombstone(key string) *nats.Msg {
	return &nats.Msg{Subject: livePrefix + key, Header: nats.Header{headKV: {"PURGE"}, headTTL: {"60"}}}
}

// publish stores a message, with patience, and is its sequence number.
func (b *Broker) publish(ctx context.Context, m *nats.Msg) (seq uint64, err error) {
	err = b.persist(ctx, func(ctx context.Context) error {
		ack, err := b.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
		if err == nil {
			seq = ack.Sequence
		}
		return err
	})
	return seq, err
}

// Present are the keys that begin with prefix and are alive, and their data.
func (b *Broker) Present(ctx context.Context, prefix string) (map[string][]byte, error) {
	there := map[string][]byte{}
	err := b.rangeOf(ctx, liveStream, livePrefix+">", func(r Record) error {
		key := strings.TrimPrefix(r.Subject, livePrefix)
		if delete(there, key); r.Data != nil && strings.HasPrefix(key, prefix) {
			there[key] = r.Data
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("presence of %s: %w", prefix, err)
	}
	return there, nil
}

// Watch calls f for each key that begins with prefix: for those that are there first,
// then as they are announced; with no data when one has been withdrawn or has expired.
// It returns when ctx ends, or f with its error.
func (b *Broker) Watch(ctx context.Context, prefix string, f func(key string, data []byte) error) error {
	err := b.feed(ctx, subscription{stream: liveStream, filter: livePrefix + ">"}, func(ms []*nats.Msg) error {
		for _, m := range ms {
			key := strings.TrimPrefix(m.Subject, livePrefix)
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			data := solid(m.Data)
			if gone(m.Header) {
				data = nil
			}
			if err := f(key, data); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w", prefix, err)
	}
	return nil
}

// leadFor is how long a leader leads without renewing it, in whole seconds; he renews it
// three times in that time.
const leadFor = 6 * time.Second

// errNotLeading ends the context of a leader whose time is over.
var errNotLeading = errors.New("another process leads")

// Lead runs f while this process is the leader in role, and waits while another one is.
// The context of f ends when that is over: before another process can lead, if clocks
// go equally fast. Then Lead waits to lead again, unless ctx has ended. Lead returns
// when ctx ends, or f by itself, with its error.
func (b *Broker) Lead(ctx context.Context, role string, f func(ctx context.Context) error) error {
	for {
		held, seq, err := b.elect(ctx, role)
		if err != nil {
			return fmt.Errorf("lead %s: %w", role, err)
		}
		lost, err := b.reign(ctx, role, held, seq, f)
		if !lost {
			return err
		}
		b.log.Warn("task store: no longer the leader", "role", role)
	}
}

// elect waits until this process leads. since is when its time began.
func (b *Broker) elect(ctx context.Context, role string) (since time.Time, seq uint64, err error) {
	key := "leader." + role
	for {
		since = time.Now()
		seq, err = b.claim(ctx, role)
		if err == nil {
			return since, seq, nil
		}
		if !errors.Is(err, ErrConflict) {
			return since, 0, err
		}
		// Until the key has gone; no longer than it would take to expire.
		wait, cancel := context.WithTimeout(ctx, leadFor)
		err := b.Watch(wait, key, func(k string, data []byte) error {
			if k == key && data == nil {
				return errEnd
			}
			return nil
		})
		cancel()
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return since, 0, b.over(ctx)
		}
	}
}

// claim takes the key of a role, where nobody has it.
func (b *Broker) claim(ctx context.Context, role string) (uint64, error) {
	subject := livePrefix + "leader." + role
	r, h, err := b.last(ctx, liveStream, subject)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return 0, err
	case r.Data != nil && h.Get(headWrite) != b.tag:
		return 0, ErrConflict
	}
	return b.hold(ctx, role, r.Seq)
}

// hold writes the key of a role for leadFor, on condition.
func (b *Broker) hold(ctx context.Context, role string, expect uint64) (uint64, error) {
	m := &nats.Msg{Subject: livePrefix + "leader." + role, Data: []byte(b.o.Name), Header: nats.Header{
		headTTL: {seconds(leadFor)}, headWrite: {b.tag}, headExpect: {strconv.FormatUint(expect, 10)},
	}}
	return b.publish(ctx, m)
}

// reign runs f until it returns or this process no longer leads, which lost says.
func (b *Broker) reign(ctx context.Context, role string, held time.Time, seq uint64, f func(context.Context) error) (lost bool, err error) {
	leading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	done := make(chan error, 1)
	go func() { done <- f(leading) }()
	tick := time.NewTicker(leadFor / 3)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			b.resign(ctx, role, seq)
			return context.Cause(leading) == errNotLeading && ctx.Err() == nil, err
		case <-tick.C:
		}
		if leading.Err() != nil {
			continue
		}
		now := time.Now()
		// A second before others may lead it is over.
		try, cancel := context.WithDeadline(leading, held.Add(leadFor-time.Second))
		next, err := b.hold(try, role, seq)
		cancel()
		switch {
		case err == nil:
			held, seq = now, next
		case errors.Is(err, ErrConflict) && b.mine(leading, role, &seq):
			held = now // its first try had gone in
		case time.Until(held.Add(leadFor-time.Second)) <= 0, errors.Is(err, ErrConflict), errors.Is(err, ErrClosed):
			stop(errNotLeading)
		}
	}
}

// mine reports whether this process has the key of a role, and sets its revision.
func (b *Broker) mine(ctx context.Context, role string, seq *uint64) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	r, h, err := b.last(ctx, liveStream, livePrefix+"leader."+role)
	if err != nil || r.Data == nil || h.Get(headWrite) != b.tag {
		return false
	}
	*seq = r.Seq
	return true
}

// resign lets another process lead at once.
func (b *Broker) resign(ctx context.Context, role string, seq uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	m := tombstone("leader." + role)
	m.Header[headExpect] = []string{strconv.FormatUint(seq, 10)}
	if _, err := b.publish(ctx, m); err != nil && !errors.Is(err, ErrConflict) {
		b.log.Debug("task store: resign", "role", role, "err", err)
	}
}
