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

// TestRecordsAreFollowedAgain where the engine ended it; who never had them all is told.
func TestRecordsAreFollowedAgain(t *testing.T) {
	k := newKit(t)
	s := k.server("a")
	away := errors.New("the engine is away")
	ctx, cancel := context.WithCancel(t.Context())
	done, tries, again := make(chan error, 1), 0, make(chan struct{})
	go func() {
		done <- s.keepUp(ctx, func(ctx context.Context, level func()) error {
			level()
			if tries++; tries == 1 {
				return away
			}
			close(again)
			<-ctx.Done()
			return ctx.Err()
		}, func() {})
	}()
	select {
	case <-again:
	case <-time.After(time.Minute):
		t.Fatal("not within a minute")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.keepUp(t.Context(), func(context.Context, func()) error { return away }, func() {}); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
}
