package tables

import (
	"hash/maphash"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// index finds the rows of a table by their keys: a hash table with open
// addressing. It does not change once it is built.
type index struct {
	matches []match
	keys    *keyRows // of the table; only its columns, and those where hashes do not do
	slots   []slot
	next    []int32 // the next row with the same key, or NoRow; nil where keys are unique
	seed    maphash.Seed
	shared  int // keys that stand in more than one row
}

// slot is the first row of a key. Hash and row together make one cache miss of a look-up.
type slot struct {
	hash uint64
	row  int32 // plus 1; 0 is free
}

const slotBytes = 16

// indexBytes is what an index of so many rows takes.
func indexBytes(rows int64, matches []match) int64 {
	n := slotBytes * (rows + rows*5/8 + 1)
	if alone(matches) {
		return n
	}
	for _, m := range matches {
		if m != matchText {
			n += 8 * rows
		}
	}
	return n
}

// newIndex indexes all rows of a table that have a key.
func newIndex(columns []arrow.Array, matches []match, rows int) *index {
	x := &index{matches: matches, seed: maphash.MakeSeed(), slots: make([]slot, rows+rows*5/8+1)}
	k := keysOf(columns, matches, x.seed, rows)
	x.keys = k
	// From the last row to the first, so that the rows of a key are a chain in
	// the table's order.
	for row := rows - 1; row >= 0; row-- {
		if k.none != nil && k.none[row] {
			continue
		}
		s := x.find(k.hash[row], k, row)
		if s.row == 0 {
			*s = slot{hash: k.hash[row], row: int32(row) + 1}
			continue
		}
		if x.next == nil {
			x.next = make([]int32, rows)
			for i := range x.next {
				x.next[i] = frame.NoRow
			}
		}
		first := s.row - 1
		if x.next[first] == frame.NoRow {
			x.shared++
		}
		x.next[row] = first
		s.row = int32(row) + 1
	}
	k.hash, k.none = nil, nil
	if alone(matches) {
		k.columns = nil
	}
	return x
}

// find is the slot of a key, or the free one where it belongs.
func (x *index) find(hash uint64, k *keyRows, row int) *slot {
	at, _ := bits.Mul64(hash, uint64(len(x.slots)))
	for {
		s := &x.slots[at]
		if s.row == 0 || s.hash == hash && x.same(int(s.row)-1, k, row) {
			return s
		}
		if at++; at == uint64(len(x.slots)) {
			at = 0
		}
	}
}

// same compares a row of the table with another row whose hash is equal.
func (x *index) same(row int, k *keyRows, other int) bool {
	if alone(x.matches) {
		return true
	}
	for i := range x.keys.columns {
		if !x.keys.columns[i].equal(row, &k.columns[i], other) {
			return false
		}
	}
	return true
}

// bytes is the memory of the index.
func (x *index) bytes() int64 {
	n := slotBytes*int64(len(x.slots)) + 4*int64(len(x.next))
	for _, c := range x.keys.columns {
		n += 8 * int64(len(c.words))
	}
	return n
}
