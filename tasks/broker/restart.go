package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// forgetClaims lets all work be claimed at once, in its old order: the engine knows of
// claims from before it ended, but not of those that were given back, and would wait for
// AckWait with all of them. It is for an engine without a port, with which its workers
// have ended.
func (b *Broker) forgetClaims(ctx context.Context) error {
	work, err := b.js.Stream(ctx, workStream)
	if err != nil {
		return fmt.Errorf("claims of before: %w", err)
	}
	names := work.ConsumerNames(ctx)
	var all []string // a list that gets shorter while it is read has gaps
	for name := range names.Name() {
		all = append(all, name)
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("claims of before: %w", err)
	}
	for _, name := range all {
		if err := work.DeleteConsumer(ctx, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("claims of before: consumer %s: %w", name, err)
		}
	}
	return nil
}
