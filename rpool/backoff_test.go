package rpool

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	b := backoff{base: 100 * time.Millisecond, limit: 5 * time.Second}
	ceilings := []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000}
	for round := range 2 {
		longest := make([]time.Duration, len(ceilings))
		for range 500 {
			b.succeed()
			for i := range ceilings {
				d := b.fail()
				if d <= 0 || d > ceilings[i]*time.Millisecond {
					t.Fatalf("round %d: failure %d waits %v, want at most %v", round, i+1, d, ceilings[i]*time.Millisecond)
				}
				longest[i] = max(longest[i], d)
			}
		}
		for i, d := range longest { // full jitter uses the whole range
			if d < ceilings[i]*time.Millisecond*9/10 {
				t.Errorf("failure %d waits at most %v in 500 trials, want nearly %v", i+1, d, ceilings[i]*time.Millisecond)
			}
		}
	}
	for range 100 { // no overflow, however often it fails
		if d := b.fail(); d <= 0 || d > b.limit {
			t.Fatalf("waits %v", d)
		}
	}
}
