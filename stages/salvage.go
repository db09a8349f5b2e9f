package stages

import (
	"cmp"
	"slices"
)

// piece is the outcome of one call over the rows [from, to) of a batch.
type piece[T any] struct {
	from, to int
	value    T
	err      error
	whole    bool // err is about all of the rows together: they were not taken apart
}

// salvage calls do over all rows and, where that fails, over halves of what
// failed, the largest first, so that as few rows as possible are lost with the
// bad ones. What failed with err is halved only while fewer than limit(err)
// halvings have been made in all. The pieces come back in order and cover every
// row once. fatal errors end it at once.
func salvage[T any](rows int, limit func(error) int, fatal func(error) bool, do func(from, to int) (T, error)) ([]piece[T], error) {
	call := func(from, to int) piece[T] {
		v, err := do(from, to)
		return piece[T]{from: from, to: to, value: v, err: err, whole: err != nil && to-from > 1}
	}
	first := call(0, rows)
	if first.err == nil {
		return []piece[T]{first}, nil
	}
	if fatal(first.err) {
		return nil, first.err
	}
	pieces := []piece[T]{first}
	for halvings := 0; ; halvings++ {
		at := largestFailed(pieces, func(err error) bool { return halvings < limit(err) })
		if at < 0 {
			break
		}
		p := pieces[at]
		mid := (p.from + p.to) / 2
		left := call(p.from, mid)
		if left.err != nil && fatal(left.err) {
			return nil, left.err
		}
		right := call(mid, p.to)
		if right.err != nil && fatal(right.err) {
			return nil, right.err
		}
		pieces[at] = left
		pieces = append(pieces, right)
	}
	slices.SortFunc(pieces, func(a, b piece[T]) int { return cmp.Compare(a.from, b.from) })
	return pieces, nil
}

// largestFailed is the failed piece with the most rows, of those that can and
// may be halved; -1 for none.
func largestFailed[T any](pieces []piece[T], may func(error) bool) int {
	at := -1
	for i, p := range pieces {
		if p.whole && may(p.err) && (at < 0 || p.to-p.from > pieces[at].to-pieces[at].from) {
			at = i
		}
	}
	return at
}
