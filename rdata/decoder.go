package rdata

import (
	"encoding/binary"
	"fmt"
	"math"

	"golang.org/x/text/encoding"
)

// A decoder reads one stream or item, all of which is in memory: an Opaque may
// need an earlier part of it again.
type decoder struct {
	b      []byte
	p      int
	big    bool
	lim    Limits
	depth  int
	refs   []definition
	owed   int               // bytes that the elements to come of the lists around the cursor take at least
	budget int64             // what is left of Limits.MaxExpand
	native encoding.Encoding // of strings without a mark; nil is UTF-8
}

// A definition is an entry of the reference table.
type definition struct {
	off  int    // where its item begins
	code byte   // its type code
	name string // of a symbol
}

func newDecoder(b []byte, lim *Limits) (*decoder, error) {
	d := &decoder{b: b, lim: lim.orDefaults()}
	d.budget = d.lim.MaxExpand
	if int64(len(b)) > d.lim.MaxBytes {
		return nil, d.errorf("%d bytes are more than the limit of %d", len(b), d.lim.MaxBytes)
	}
	return d, nil
}

func (d *decoder) errorf(format string, args ...any) error {
	return d.errorAt(d.p, format, args...)
}

func (d *decoder) errorAt(off int, format string, args ...any) error {
	return &SyntaxError{Offset: int64(off), Msg: fmt.Sprintf(format, args...)}
}

func (d *decoder) left() int { return len(d.b) - d.p }

func (d *decoder) errEnd(what string) error {
	return d.errorAt(len(d.b), "unexpected end of input in %s", what)
}

func (d *decoder) word() (uint32, error) {
	if d.left() < 4 {
		return 0, d.errEnd("a word")
	}
	b := d.b[d.p:]
	d.p += 4
	if d.big {
		return binary.BigEndian.Uint32(b), nil
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (d *decoder) int() (int, error) {
	w, err := d.word()
	return int(int32(w)), err
}

// take consumes n bytes.
func (d *decoder) take(n int, what string) ([]byte, error) {
	if n < 0 || n > d.left() {
		return nil, d.errEnd(what)
	}
	b := d.b[d.p : d.p+n : d.p+n]
	d.p += n
	return b, nil
}

// length reads the length of a vector whose elements take at least size bytes
// each, so that more than the input holds is refused before anything is made:
// nested lists may not each claim all that is left.
func (d *decoder) length(size int) (int, error) {
	at := d.p
	w, err := d.word()
	if err != nil {
		return 0, err
	}
	n := int64(int32(w))
	if n == -1 {
		hi, err := d.word()
		if err != nil {
			return 0, err
		}
		lo, err := d.word()
		if err != nil {
			return 0, err
		}
		n = int64(hi)<<32 | int64(lo)
	}
	switch {
	case n < 0:
		return 0, d.errorAt(at, "vector of length %d", n)
	case n > d.lim.MaxLength:
		return 0, d.errorAt(at, "vector of length %d is over the limit of %d", n, d.lim.MaxLength)
	}
	if free := max(d.left()-d.owed, 0); n > int64(free/size) {
		return 0, d.errorAt(at, "vector of length %d does not fit in the %d bytes left", n, free)
	}
	return int(n), nil
}

func (d *decoder) enter() error {
	d.depth++
	if d.depth > d.lim.MaxDepth {
		return d.errorf("nested deeper than %d", d.lim.MaxDepth)
	}
	return nil
}

func (d *decoder) leave() { d.depth-- }

// expand takes n bytes from the budget for what was not sent.
func (d *decoder) expand(at int, n int64) error {
	if n > d.budget {
		return d.errorAt(at, "compact sequences and shared environments take more than %d bytes", d.lim.MaxExpand)
	}
	d.budget -= n
	return nil
}

// reference is the index, from 0, in the reference table that an item's flags
// (and the word after them, where it is too large) refer to.
func (d *decoder) reference(flags uint32) (int, error) {
	at := d.p - 4
	i := int(flags >> 8)
	if i == 0 {
		w, err := d.word()
		if err != nil {
			return 0, err
		}
		if w > math.MaxInt32 {
			w = 0
		}
		i = int(w)
	}
	if i < 1 || i > len(d.refs) {
		return 0, d.errorAt(at, "reference to object %d, of %d seen so far", i, len(d.refs))
	}
	return i - 1, nil
}
