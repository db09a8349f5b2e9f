package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// Messages between processes are not stored: who does not listen misses them. Their
// subjects begin with rp.m. (to workers) or rp.x. (to all).

// Request sends data to whoever serves subject, and waits for the answer.
// ErrNoResponder: nobody does.
func (b *Broker) Request(ctx context.Context, subject string, data []byte) ([]byte, error) {
	ctx, cancel := b.patient(ctx)
	defer cancel()
	m, err := b.nc.RequestWithContext(ctx, subject, data)
	if errors.Is(err, nats.ErrNoResponders) {
		err = ErrNoResponder
	}
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", subject, explain(err))
	}
	return m.Data, nil
}

// Serve answers the requests to subject, each in a goroutine of its own, until stop.
// Close waits for those that run.
func (b *Broker) Serve(subject string, f func(data []byte) []byte) (stop func(), err error) {
	return b.subscribe(subject, func(m *nats.Msg) {
		b.running.Go(func() {
			if err := m.Respond(f(m.Data)); err != nil && !errors.Is(err, nats.ErrMsgNoReply) {
				b.log.Warn("task store: answer", "subject", m.Subject, "err", err)
			}
		})
	})
}

// Publish sends data to all that have subscribed to subject.
func (b *Broker) Publish(subject string, data []byte) error {
	if err := b.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("publish %s: %w", subject, explain(err))
	}
	return nil
}

// Subscribe calls f with what is published to subject, which may have wildcards, one
// after the other, until stop.
func (b *Broker) Subscribe(subject string, f func(subject string, data []byte)) (stop func(), err error) {
	return b.subscribe(subject, func(m *nats.Msg) { f(m.Subject, m.Data) })
}

func (b *Broker) subscribe(subject string, f nats.MsgHandler) (stop func(), err error) {
	sub, err := b.nc.Subscribe(subject, f)
	if err == nil {
		err = b.nc.Flush() // from here on the server knows
	}
	if err != nil {
		return nil, fmt.Errorf("subscribe to %s: %w", subject, explain(err))
	}
	return func() { sub.Unsubscribe() }, nil //nolint:errcheck // it fails on a closed connection only
}
