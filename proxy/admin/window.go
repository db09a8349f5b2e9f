package admin

import "time"

// window is what happened lately, in slots of equal length that are used round
// and round. It has room for slots as they are needed.
type window struct {
	step  time.Duration
	slots []*slot // by number of the step, modulo their count
}

// slot is what happened in one step.
type slot struct {
	number           int64 // of the step since 1970
	classes          [classes]int
	took, queue, inR histogram
}

// Classes of statuses: 2xx stands for 1xx too. Those whose client has gone are
// nobody's fault.
const (
	class2xx = iota
	class3xx
	class4xx
	class5xx
	classGone
	classes
)

func classOf(status int) int {
	switch {
	case status == statusClientGone:
		return classGone
	case status < 300:
		return class2xx
	case status < 400:
		return class3xx
	case status < 500:
		return class4xx
	}
	return class5xx
}

func newWindow(step time.Duration, n int) window {
	return window{step: step, slots: make([]*slot, n)}
}

func (w *window) number(at time.Time) int64 { return at.UnixNano() / int64(w.step) }

// at is the slot of a moment, emptied where it is of an earlier round.
func (w *window) at(now time.Time) *slot {
	number := w.number(now)
	p := &w.slots[number%int64(len(w.slots))]
	if *p == nil {
		*p = new(slot)
	}
	if (*p).number != number {
		**p = slot{number: number}
	}
	return *p
}

// last are the slots of the window that ends now, the oldest first; nil for those
// in which nothing happened.
func (w *window) last(now time.Time) []*slot {
	number, n := w.number(now), int64(len(w.slots))
	all := make([]*slot, n)
	for i := range all {
		want := number - n + 1 + int64(i)
		if s := w.slots[((want%n)+n)%n]; s != nil && s.number == want {
			all[i] = s
		}
	}
	return all
}

// span is the time that last covers: its newest slot is not over yet.
func (w *window) span(now time.Time, since time.Time) time.Duration {
	full := time.Duration(len(w.slots)-1)*w.step + time.Duration(now.UnixNano()%int64(w.step))
	return max(min(full, now.Sub(since)), time.Second)
}
