package tables

import (
	"bytes"
	"math/bits"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// look finds the first row of the table for each row of a frame; NoRow is none.
//
// A table is larger than the processor's caches, so that time goes into waiting
// for memory. The work is done in passes, each of which asks for what many rows
// need before it looks at any: the slots of the hashes, then the keys of what
// was found there, column by column.
func (x *index) look(columns []arrow.Array, rows int) []int32 {
	k := keysOf(columns, x.matches, x.seed, rows)
	out := make([]int32, rows)
	for from := 0; from < rows; from += stride {
		to := min(from+stride, rows)
		x.lookHashes(k.hash[from:to], out[from:to])
	}
	for row, none := range k.none {
		if none {
			out[row] = frame.NoRow
		}
	}
	if alone(x.matches) {
		return out
	}
	for i := range x.keys.columns {
		x.confirm(&x.keys.columns[i], &k.columns[i], k, out)
	}
	return out
}

// stride is how many slots are asked for at once.
const stride = 512

// lookHashes finds the first row that has the hash of each.
func (x *index) lookHashes(hashes []uint64, out []int32) {
	var slots [stride]slot
	n := uint64(len(x.slots))
	for i, h := range hashes {
		at, _ := bits.Mul64(h, n)
		slots[i] = x.slots[at]
	}
	for i, h := range hashes {
		s := slots[i]
		if s.row != 0 && s.hash != h {
			s = x.walk(h)
		}
		out[i] = s.row - 1
	}
}

// walk is the first slot of a hash, or the free one where it would be.
func (x *index) walk(hash uint64) slot {
	at, _ := bits.Mul64(hash, uint64(len(x.slots)))
	for {
		s := x.slots[at]
		if s.row == 0 || s.hash == hash {
			return s
		}
		if at++; at == uint64(len(x.slots)) {
			at = 0
		}
	}
}

// confirm compares one column of the keys of what was found. Where only the
// hashes were equal, it searches anew for the whole key.
func (x *index) confirm(have, want *keyColumn, k *keyRows, found []int32) {
	if have.words != nil {
		for i, row := range found {
			if row >= 0 && have.words[row] != want.words[i] {
				found[i] = x.find(k.hash[i], k, i).row - 1
			}
		}
		return
	}
	for i, row := range found {
		if row >= 0 && !bytes.Equal(have.text.at(int(row)), want.text.at(i)) {
			found[i] = x.find(k.hash[i], k, i).row - 1
		}
	}
}
