package sinks

import (
	"context"
	"time"

	"github.com/rpipe-dev/rpipe/store"
)

// removeQuestions removes what processes left that were killed while they asked
// the server for its time, or for what it honours. What is younger than the lease
// may be of somebody who asks now.
func (b *bucket) removeQuestions(ctx context.Context) error {
	var now time.Time
	stale := func(made time.Time) (_ bool, err error) {
		if now.IsZero() {
			now, err = b.lock.now(ctx)
		}
		return now.Sub(made) > b.lock.ttl, err
	}
	probes := b.key(store.ProbeName)
	var dead []store.Location
	for _, below := range []store.Location{b.lock.clocks(), probes} {
		for o, err := range b.client.List(ctx, below) {
			old := false
			if err == nil {
				old, err = stale(o.Modified)
			}
			if err != nil {
				return err
			}
			if old {
				dead = append(dead, o.Location)
			}
		}
	}
	if err := b.client.Delete(ctx, dead...); err != nil {
		return err
	}
	for u, err := range b.client.Uploads(ctx, probes) {
		old := false
		if err == nil {
			old, err = stale(u.Begun)
		}
		if err == nil && old && !u.Begun.IsZero() {
			err = b.client.AbortUpload(ctx, u.Location, u.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
