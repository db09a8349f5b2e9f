package rpool

import (
	"math/rand/v2"
	"time"
)

// backoff spaces out attempts that keep failing: exponential with full jitter,
// so that pools which fail together do not try again together. (M. Brooker,
// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
type backoff struct {
	base, limit time.Duration
	failures    int
}

// fail counts a failure and returns how long to wait: a random time of at most
// base, then 2 base, 4 base, and so on, never above limit.
func (b *backoff) fail() time.Duration {
	ceiling := b.limit
	if shift := b.failures; shift < 32 && b.base<<shift < b.limit {
		ceiling = b.base << shift
	}
	b.failures++
	return rand.N(ceiling) + 1
}

// succeed makes the next failure the first again.
func (b *backoff) succeed() { b.failures = 0 }
