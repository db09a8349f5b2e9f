package index

import (
	"encoding/binary"
	"math/bits"
)

// A position is where a task or job stands in the order of submission. Everything that
// tasks are filtered by is a set of positions, kept in chunks: a filter is their
// intersection, and a count is how many bits that has.
const (
	chunkBits = 12
	chunkSize = 1 << chunkBits
)

func chunkOf(pos int64) int64 { return pos >> chunkBits }

// set are the positions of a chunk that are in a set.
type set [chunkSize / 64]uint64

func (s *set) add(bit int)    { s[bit>>6] |= 1 << (bit & 63) }
func (s *set) remove(bit int) { s[bit>>6] &^= 1 << (bit & 63) }

// addRange adds bits from to to-1, cut to the chunk.
func (s *set) addRange(from, to int64) {
	for b := max(from, 0); b < min(to, chunkSize); b++ {
		if b&63 == 0 && b+64 <= min(to, chunkSize) {
			s[b>>6] = ^uint64(0)
			b += 63
			continue
		}
		s.add(int(b))
	}
}

func (s *set) and(o *set) {
	for i := range s {
		s[i] &= o[i]
	}
}

func (s *set) count() (n int64) {
	for _, w := range s {
		n += int64(bits.OnesCount64(w))
	}
	return n
}

func (s *set) empty() bool { return *s == set{} }

// each calls f with each bit, ascending or descending, until f is false.
func (s *set) each(descending bool, f func(bit int) bool) bool {
	for i := range s {
		if descending {
			i = len(s) - 1 - i
		}
		for w := s[i]; w != 0; {
			b := bits.TrailingZeros64(w)
			if descending {
				b = 63 - bits.LeadingZeros64(w)
			}
			if !f(i<<6 | b) {
				return false
			}
			w &^= 1 << b
		}
	}
	return true
}

// sparse is how many bits are written one by one; more are written as they are.
const sparse = chunkSize/16 - 1

// encode is the set as it is stored: two bytes a bit, or all of them.
func (s *set) encode() []byte {
	if n := s.count(); n <= sparse {
		b := make([]byte, 0, 2*n)
		s.each(false, func(bit int) bool {
			b = binary.LittleEndian.AppendUint16(b, uint16(bit))
			return true
		})
		return b
	}
	b := make([]byte, 0, chunkSize/8)
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// decode adds what was encoded.
func (s *set) decode(b []byte) {
	if len(b) < chunkSize/8 {
		for ; len(b) >= 2; b = b[2:] {
			s.add(int(binary.LittleEndian.Uint16(b)) & (chunkSize - 1))
		}
		return
	}
	for i := range s {
		s[i] |= binary.LittleEndian.Uint64(b[8*i:])
	}
}
