package tasks

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Numbers are numbers of tasks in ascending order, kept as ranges. Their text is
// "1-3,7".
type Numbers struct {
	ranges []numberRange
}

// numberRange is from first to last; before is how many numbers are in earlier ranges.
type numberRange struct{ first, last, before int }

// NumbersOf are ns, which are sorted; what stands twice counts once.
func NumbersOf(ns ...int) Numbers {
	ns = slices.Clone(ns)
	slices.Sort(ns)
	var s Numbers
	for _, n := range ns {
		s.add(n, n)
	}
	return s
}

// add appends a range that does not begin before the last one.
func (s *Numbers) add(first, last int) {
	if k := len(s.ranges) - 1; k >= 0 && first <= s.ranges[k].last+1 {
		s.ranges[k].last = max(last, s.ranges[k].last)
		return
	}
	s.ranges = append(s.ranges, numberRange{first, last, s.Len()})
}

// Len is how many there are.
func (s Numbers) Len() int {
	if len(s.ranges) == 0 {
		return 0
	}
	r := s.ranges[len(s.ranges)-1]
	return r.before + r.last - r.first + 1
}

// IsZero reports whether there are none.
func (s Numbers) IsZero() bool { return len(s.ranges) == 0 }

// At is the i-th of them, from 1; 0 where there are fewer.
func (s Numbers) At(i int) int {
	if i < 1 || i > s.Len() {
		return 0
	}
	k := sort.Search(len(s.ranges), func(k int) bool { return s.ranges[k].before >= i }) - 1
	return s.ranges[k].first + i - 1 - s.ranges[k].before
}

// Has reports whether n is among them.
func (s Numbers) Has(n int) bool { return s.Index(n) > 0 }

// Index is the place of n among them, from 1; 0 where it is not.
func (s Numbers) Index(n int) int {
	k := sort.Search(len(s.ranges), func(k int) bool { return s.ranges[k].first > n }) - 1
	if k < 0 || n > s.ranges[k].last {
		return 0
	}
	return s.ranges[k].before + n - s.ranges[k].first + 1
}

// With are these and ns. It takes as long as there are ranges, however many numbers these
// have: a job of millions loses a few of its tasks at a time.
func (s Numbers) With(ns ...int) Numbers {
	var all Numbers
	old, more := s.ranges, NumbersOf(ns...).ranges
	for len(old)+len(more) > 0 {
		next := &more
		if len(more) == 0 || len(old) > 0 && old[0].first <= more[0].first {
			next = &old
		}
		all.add((*next)[0].first, (*next)[0].last)
		*next = (*next)[1:]
	}
	return all
}

// All calls yield for each, in order.
func (s Numbers) All(yield func(int) bool) {
	for _, r := range s.ranges {
		for n := r.first; n <= r.last; n++ {
			if !yield(n) {
				return
			}
		}
	}
}

// String is their text.
func (s Numbers) String() string {
	var b []byte
	for _, r := range s.ranges {
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(r.first), 10)
		if r.last > r.first {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(r.last), 10)
		}
	}
	return string(b)
}

// MarshalText writes the text.
func (s Numbers) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads it. Its ranges must ascend.
func (s *Numbers) UnmarshalText(text []byte) error {
	*s = Numbers{}
	if len(text) == 0 {
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || from < 1 || to < from || len(s.ranges) > 0 && from <= s.ranges[len(s.ranges)-1].last {
			return fmt.Errorf("%q are not numbers of tasks: those look like 1-3,7, from 1 and ascending", text)
		}
		s.add(from, to)
	}
	return nil
}
