package webapi

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pacer keeps a Rate. The token bucket gives each request its time; but one that
// comes late to its time, because the machine was busy, may leave together with
// those behind it. So it is also counted what has left in the last second.
type pacer struct {
	bucket *rate.Limiter
	second window
}

func newPacer(r *Rate) *pacer {
	burst := max(1, r.Burst)
	most := math.Floor(r.Limit.PerSecond()) + float64(burst)
	p := &pacer{bucket: rate.NewLimiter(rate.Limit(r.Limit.PerSecond()), burst)}
	if most <= maxWindow {
		p.second.left = make([]time.Time, int(most))
	}
	return p
}

// maxWindow is the rate from which on single seconds are not watched.
const maxWindow = 1_000_000

// wait returns when a request may leave.
func (p *pacer) wait(ctx context.Context) error {
	if err := p.bucket.Wait(ctx); err != nil {
		return err
	}
	return p.second.wait(ctx)
}

// spend counts a request that has left without asking.
func (p *pacer) spend() { p.bucket.Reserve() }

// window lets so many events pass in any one second as left has room for.
type window struct {
	mu   sync.Mutex
	left []time.Time // the last ones, as a ring
	at   int         // the oldest
}

func (w *window) wait(ctx context.Context) error {
	for {
		d := w.pass()
		if d <= 0 {
			return nil
		}
		if err := sleep(ctx, d); err != nil {
			return err
		}
	}
}

// pass counts an event, or says how long there is no room for one.
func (w *window) pass() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.left) == 0 {
		return 0
	}
	now := time.Now()
	oldest := w.left[w.at]
	if d := time.Second - now.Sub(oldest); d > 0 && !oldest.IsZero() {
		return d
	}
	w.left[w.at] = now
	w.at = (w.at + 1) % len(w.left)
	return 0
}
