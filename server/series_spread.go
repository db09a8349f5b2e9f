package server

import (
	"math"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// spread counts durations in buckets a quarter of a doubling wide: a quantile is at most
// a tenth off.
type spread struct {
	counts *[spreadBuckets]uint32 // nil for none
	n      int
	most   time.Duration
}

const (
	spreadLeast   = 100 * time.Microsecond // the first bucket ends there
	spreadBuckets = 4*34 + 2               // the last begins after three weeks
)

func spreadBucket(d time.Duration) int {
	if d <= spreadLeast {
		return 0
	}
	return min(1+int(4*math.Log2(float64(d)/float64(spreadLeast))), spreadBuckets-1)
}

func (s *spread) add(d time.Duration) {
	if s.counts == nil {
		s.counts = new([spreadBuckets]uint32)
	}
	d = max(d, 0)
	s.counts[spreadBucket(d)]++
	s.n++
	s.most = max(s.most, d)
}

func (s *spread) merge(o *spread) {
	if o.n == 0 {
		return
	}
	if s.counts == nil {
		s.counts = new([spreadBuckets]uint32)
	}
	for i, c := range o.counts {
		s.counts[i] += c
	}
	s.n += o.n
	s.most = max(s.most, o.most)
}

// quantile is the duration that a share q of all did not exceed, in seconds; nil for none.
func (s *spread) quantile(q float64) *float64 {
	if s.n == 0 {
		return nil
	}
	rank, below, out := int(math.Ceil(q*float64(s.n))), 0, s.most
	for i, c := range s.counts {
		if below += int(c); below >= rank {
			middle := spreadLeast
			if i > 0 {
				middle = time.Duration(float64(spreadLeast) * math.Exp2((float64(i)-0.5)/4))
			}
			out = min(middle, s.most)
			break
		}
	}
	seconds := out.Seconds()
	return &seconds
}

func (s *spread) durations() api.Durations {
	return api.Durations{P50: s.quantile(0.5), P90: s.quantile(0.9), P99: s.quantile(0.99)}
}
