package frame

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"sync"

	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/rdata"
)

// Text that repeats is dear to R: it looks up each string of a vector in one
// table of all strings. A column with few different ones crosses as integer
// codes with its levels instead, which R turns into text by indexing, in a
// fraction of the time.
const (
	codeRows   = 256 // in shorter columns there is little to gain
	codeLevels = 256 // a column with more different strings crosses as it is
	codeSlots  = 4 * codeLevels
)

// codeTable finds the code of a string: open addressing, linear probing.
type codeTable struct {
	slots [codeSlots]uint16 // code+1; 0 is free
	first [codeLevels]int32 // row of each level's first occurrence
	n     int
}

var (
	codeTables = sync.Pool{New: func() any { return new(codeTable) }}
	codeSeed   = maphash.MakeSeed()
)

// coded writes a text column as integers with an attribute levels, without a
// class: levels[codes] is the column. False, with nothing written, where the
// column is too short or has too many different strings.
func (c *rcolumn) coded(a *array.String, n int) (bool, error) {
	if n < codeRows {
		return false, nil
	}
	t := codeTables.Get().(*codeTable)
	defer codeTables.Put(t)
	clear(t.slots[:])
	t.n = 0
	ends, data := a.ValueOffsets(), textOf(a)
	text := func(i int32) []byte { return data[ends[i]:ends[i+1]] }
	nulls := a.NullN() > 0

	start := len(c.e.Buf)
	c.e.VectorHead(rdata.KindInteger, n, false, true)
	codes := c.e.Grow(4 * n)
	for i := range int32(n) {
		code := uint32(0x80000000) // NA_integer_
		if !nulls || a.IsValid(int(i)) {
			s := text(i)
			at := maphash.Bytes(codeSeed, s) % codeSlots
			for ; ; at = (at + 1) % codeSlots {
				k := t.slots[at]
				if k == 0 {
					if t.n == codeLevels {
						c.e.Buf = c.e.Buf[:start]
						return false, nil
					}
					t.first[t.n] = i
					t.n++
					k = uint16(t.n)
					t.slots[at] = k
				} else if !bytes.Equal(s, text(t.first[k-1])) {
					continue
				}
				code = uint32(k)
				break
			}
		}
		binary.LittleEndian.PutUint32(codes[4*i:], code)
	}
	c.e.Attr("levels")
	c.e.VectorHead(rdata.KindCharacter, t.n, false, false)
	for _, row := range t.first[:t.n] {
		if err := c.e.Str(text(row)); err != nil {
			return false, c.textError(int(row), err)
		}
	}
	c.e.EndAttrs()
	return true, nil
}
