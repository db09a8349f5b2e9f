package keeper

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestAServerStandsForLeaderAgain where the engine was away for so long that it gave up.
func TestAServerStandsForLeaderAgain(t *testing.T) {
	k, w := newKit(t), &work{}
	s := k.server("a", minutely(w))
	s.Abdicate()
	k.forward(time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	done, tries := make(chan struct{}), 0
	go func() {
		defer close(done)
		s.stand(ctx, func(ctx context.Context, role string, f func(context.Context) error) error {
			if tries++; tries == 1 {
				return errors.New("the engine is away")
			}
			return k.broker.Lead(ctx, role, f)
		})
	}()
	k.await(s, "job", "00:01 COMPLETE")
	cancel()
	<-done
	if tries != 2 {
		t.Errorf("it stood %d times", tries)
	}
}
