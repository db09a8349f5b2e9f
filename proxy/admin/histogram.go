package admin

import (
	"math"
	"time"
)

// histogram counts durations in buckets an eighth of a doubling wide: what it
// says of a quantile is at most 5 % off. It holds what a latency of HTTP can be.
type histogram struct {
	counts [buckets]uint32
	n      int
	sum    time.Duration
	max    time.Duration
}

const (
	shortest  = time.Microsecond // the first bucket ends there
	doublings = 31               // the last one begins after 36 minutes
	buckets   = 8*doublings + 2
)

func bucketOf(d time.Duration) int {
	if d <= shortest {
		return 0
	}
	return min(1+int(8*math.Log2(float64(d)/float64(shortest))), buckets-1)
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)]++
	h.n++
	h.sum += d
	h.max = max(h.max, d)
}

func (h *histogram) merge(o *histogram) {
	if o == nil || o.n == 0 {
		return
	}
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile is the duration that a share q of all did not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(h.n)))
	below := 0
	for i, c := range h.counts {
		if below += int(c); below >= rank && c > 0 {
			if i == 0 {
				return min(shortest, h.max)
			}
			middle := float64(shortest) * math.Exp2((float64(i)-0.5)/8)
			return min(time.Duration(middle), h.max)
		}
	}
	return h.max
}
