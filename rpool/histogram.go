package rpool

import "time"

// Bounds are the upper bounds of a Histogram's buckets; the last bucket has none.
var Bounds = [...]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
	250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2500 * time.Millisecond,
	5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute,
}

// Histogram counts durations by size.
type Histogram struct {
	Counts [len(Bounds) + 1]int64 // Counts[i] of those above Bounds[i-1] and at most Bounds[i]
	Sum    time.Duration
}

func (h *Histogram) observe(d time.Duration) {
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.Counts[i]++
	h.Sum += d
}

// Count is how many there are.
func (h *Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Quantile is the bound below which a share q of them lies, such as 0.99: an upper
// limit of the quantile. What lies above the last bound counts as that. It is 0
// where there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q * float64(h.Count()))
	for i, n := range h.Counts {
		rank -= n
		if rank < 0 || rank == 0 && q == 1 {
			return Bounds[min(i, len(Bounds)-1)]
		}
	}
	return 0
}
