package rdata

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"unsafe"
)

// Encoder appends an item to Buf piece by piece. It is for producers that hold
// columns, and is as fast as copying them; AppendItem is simpler where Values
// exist already. The caller keeps the grammar:
//
//	vector    = VectorHead payload [ attrs ]
//	payload   = n numbers, n strings (Str, NAStr), or n items for a list
//	attrs     = { Attr item } EndAttrs      where VectorHead was told of attrs
//
// The zero value is ready and writes little-endian. An Encoder that is Reset and
// used again allocates nothing once Buf is large enough.
type Encoder struct {
	Buf []byte

	big     bool
	symbols map[string]int32
	refs    int32 // objects in the reference table
	err     error // the first
}

// Err is the first error since Reset that Str, Strs or StrColumn returned, for
// whoever prefers to ask once, at the end: Buf holds half an item then.
func (e *Encoder) Err() error { return e.err }

func (e *Encoder) fail(err error) error {
	if e.err == nil {
		e.err = err
	}
	return err
}

// Reset empties Buf, keeping its memory, and the reference table.
func (e *Encoder) Reset() {
	e.Buf = e.Buf[:0]
	e.refs = 0
	e.err = nil
	clear(e.symbols)
}

// Grow appends n bytes and returns them, to be filled by the caller
// (little-endian). They are not zeroed.
func (e *Encoder) Grow(n int) []byte {
	l := len(e.Buf)
	e.Buf = slices.Grow(e.Buf, n)[:l+n]
	return e.Buf[l:]
}

// VectorHead begins a vector of n elements. Object says that it has a class
// attribute, attrs that attributes follow the payload.
func (e *Encoder) VectorHead(kind Kind, n int, object, attrs bool) {
	flags := uint32(kind)
	if object {
		flags |= flagObject
	}
	if attrs {
		flags |= flagAttrs
	}
	e.word(flags)
	e.length(n)
}

// length writes a vector's length, which takes three words beyond 2^31-1.
func (e *Encoder) length(n int) {
	if n > math.MaxInt32 {
		e.word(math.MaxUint32)
		e.word(uint32(uint64(n) >> 32))
	}
	e.word(uint32(n))
}

func (e *Encoder) word(w uint32) {
	if e.big {
		e.Buf = binary.BigEndian.AppendUint32(e.Buf, w)
		return
	}
	e.Buf = binary.LittleEndian.AppendUint32(e.Buf, w)
}

// Int32s appends the payload of a logical or integer vector.
func (e *Encoder) Int32s(v []int32) {
	b := e.Grow(4 * len(v))
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 4*len(v)))
	if e.big == hostLittle {
		swap4(b)
	}
}

// Float64s appends the payload of a double vector.
func (e *Encoder) Float64s(v []float64) {
	b := e.Grow(8 * len(v))
	copy(b, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), 8*len(v)))
	if e.big == hostLittle {
		swap8(b)
	}
}

// Int64s appends the payload of an integer64, which is a double vector.
func (e *Encoder) Int64s(v []int64) {
	e.Float64s(unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(v))), len(v)))
}

// Bytes appends the payload of a raw vector, or any bytes as they are.
func (e *Encoder) Bytes(b []byte) { e.Buf = append(e.Buf, b...) }

// Attr begins an attribute; its value, one item, must follow. The name is one
// that the program chose: not UTF-8, or with a NUL in it, it panics.
func (e *Encoder) Attr(name string) {
	e.word(uint32(KindPairlist) | flagTag)
	if err := e.symbol(name); err != nil {
		panic("rdata: Attr: " + err.Error())
	}
}

// EndAttrs ends the attributes of a vector.
func (e *Encoder) EndAttrs() { e.word(codeNil) }

// Null appends NULL.
func (e *Encoder) Null() { e.word(codeNil) }

// symbol writes a name: in full the first time, as a reference from then on.
func (e *Encoder) symbol(name string) error {
	if ref, ok := e.symbols[name]; ok {
		e.reference(ref)
		return nil
	}
	if name == "" {
		return errors.New("a symbol without a name")
	}
	b := unsafe.Slice(unsafe.StringData(name), len(name))
	if _, err := charFlags(b); err != nil {
		return err
	}
	e.word(uint32(KindSymbol))
	_ = e.str(b) // has just been checked
	if e.symbols == nil {
		e.symbols = make(map[string]int32)
	}
	e.symbols[name] = e.define()
	return nil
}

// define takes the next place in the reference table.
func (e *Encoder) define() int32 {
	e.refs++
	return e.refs
}

func (e *Encoder) reference(ref int32) {
	if ref <= maxPackedRef {
		e.word(uint32(ref)<<8 | codeReference)
		return
	}
	e.word(codeReference)
	e.word(uint32(ref))
}

func swap4(b []byte) {
	for ; len(b) >= 4; b = b[4:] {
		binary.BigEndian.PutUint32(b, binary.LittleEndian.Uint32(b))
	}
}

func swap8(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.BigEndian.PutUint64(b, binary.LittleEndian.Uint64(b))
	}
}
