package predict

import (
	"encoding/binary"
	"errors"
	"math"
)

// The Arrow library takes the metadata of a stream or file on trust: a field that is
// its own child, or a vector longer than the message, ends the process, which no
// recover prevents. So what nests, what is counted and what is copied is looked at here
// before. It is FlatBuffers; the numbers of slots are those of
// Schema.fbs, Message.fbs and File.fbs of Arrow's format.

// deepest is how deep columns may nest.
const deepest = 64

var errArrowMeta = errors.New("the metadata claims more than there is")

// The kinds of messages.
const (
	schemaMessage     = 1
	dictionaryMessage = 2
	batchMessage      = 3
)

// checkArrow panics where the metadata cannot be true; the caller recovers. What
// the library refuses by itself is left to it.
func checkArrow(body []byte, isFile bool) {
	if isFile {
		checkArrowFile(body)
		return
	}
	for first := true; len(body) >= 4; first = false {
		size := uint64(binary.LittleEndian.Uint32(body))
		body = body[4:]
		if size == math.MaxUint32 {
			size = uint64(binary.LittleEndian.Uint32(body))
			body = body[4:]
		}
		if size == 0 { // the end
			return
		}
		meta := newFlat(body[:size])
		kind := meta.kind()
		if first {
			kind = schemaMessage
		}
		meta.message(kind)
		if body = body[size:]; meta.body() > uint64(len(body)) {
			panic(errArrowMeta)
		}
		body = body[meta.body():]
	}
}

// checkArrowFile looks at a file's footer and at the messages that it points to.
func checkArrowFile(body []byte) {
	const end = 4 + 6 // the footer's size, and ARROW1
	if len(body) < end {
		return
	}
	at := len(body) - end
	size := int(binary.LittleEndian.Uint32(body[at:]))
	if size > at {
		return
	}
	footer := newFlat(body[at-size : at])
	root := footer.follow(0)
	footer.schema(footer.table(root, 1))
	for slot, kind := range map[int]byte{2: dictionaryMessage, 3: batchMessage} {
		start, n := footer.vector(footer.slot(root, slot), 24)
		for i := range n {
			from, size := footer.u64(start+24*i), uint64(footer.u32(start+24*i+8))
			if from > uint64(len(body)) || size > uint64(len(body))-from {
				panic(errArrowMeta)
			}
			meta := body[from : from+size]
			switch binary.LittleEndian.Uint32(meta) {
			case 0:
			case math.MaxUint32:
				meta = meta[8:]
			default:
				meta = meta[4:]
			}
			newFlat(meta).message(kind)
		}
	}
}

// flat is a FlatBuffer. Positions are 32 bits wide and wrap, as in the library's
// own code; those outside panic.
type flat struct {
	b       []byte
	left    uint64 // bytes that vectors and texts may have still: two may be the same
	columns int
}

func newFlat(b []byte) *flat { return &flat{b: b, left: 2 * uint64(len(b))} }

func (f *flat) u32(at uint32) uint32    { return binary.LittleEndian.Uint32(f.b[at:]) }
func (f *flat) u64(at uint32) uint64    { return binary.LittleEndian.Uint64(f.b[at:]) }
func (f *flat) follow(at uint32) uint32 { return at + f.u32(at) }

// slot is where a value of the table at pos is; 0 for one that is not there.
func (f *flat) slot(pos uint32, number int) uint32 {
	vtable := pos - f.u32(pos)
	size := binary.LittleEndian.Uint16(f.b[vtable:])
	entry := uint16(4 + 2*number)
	if entry >= size {
		return 0
	}
	if offset := binary.LittleEndian.Uint16(f.b[vtable+uint32(entry):]); offset != 0 {
		return pos + uint32(offset)
	}
	return 0
}

// table is the table that a slot leads to; 0 for none.
func (f *flat) table(pos uint32, number int) uint32 {
	if at := f.slot(pos, number); at != 0 {
		return f.follow(at)
	}
	return 0
}

func (f *flat) number(pos uint32, number int) byte {
	if at := f.slot(pos, number); at != 0 {
		return f.b[at]
	}
	return 0
}

// vector is where the elements begin that the value at at leads to, and how many
// there are.
func (f *flat) vector(at uint32, size uint64) (start, n uint32) {
	if at == 0 {
		return 0, 0
	}
	start = f.follow(at)
	n = f.u32(start)
	if uint64(n)*size > f.left {
		panic(errArrowMeta)
	}
	f.left -= uint64(n) * size
	return start + 4, n
}

func (f *flat) text(at uint32) { f.vector(at, 1) }

// kind is what a message says that it is.
func (f *flat) kind() byte { return f.number(f.follow(0), 1) }

// body is how many bytes the body of a message has.
func (f *flat) body() uint64 {
	if at := f.slot(f.follow(0), 3); at != 0 {
		return f.u64(at)
	}
	return 0
}

// message checks a message as the library will read it.
func (f *flat) message(kind byte) {
	header := f.table(f.follow(0), 2)
	if header == 0 {
		return
	}
	switch kind {
	case schemaMessage:
		f.schema(header)
	case dictionaryMessage: // a batch of one column
		if header = f.table(header, 1); header != 0 {
			f.batch(header)
		}
	case batchMessage:
		f.batch(header)
	}
}

// batch checks that views have no more buffers than there are.
func (f *flat) batch(pos uint32) {
	_, buffers := f.vector(f.slot(pos, 2), 16)
	start, n := f.vector(f.slot(pos, 4), 8)
	for i := range n {
		if f.u64(start+8*i) > uint64(buffers) {
			panic(errArrowMeta)
		}
	}
}

func (f *flat) schema(pos uint32) {
	if pos == 0 {
		return
	}
	f.fields(f.slot(pos, 1), 1)
	f.pairs(f.slot(pos, 2))
}

func (f *flat) fields(at uint32, depth int) {
	start, n := f.vector(at, 4)
	if f.columns += int(n); depth > deepest || f.columns > maxColumns {
		panic(errArrowMeta)
	}
	for i := range n {
		pos := f.follow(start + 4*i)
		f.text(f.slot(pos, 0))
		if kind := f.table(pos, 3); kind != 0 {
			switch f.number(pos, 2) {
			case 10: // a timestamp: its time zone
				f.text(f.slot(kind, 1))
			case 14: // a union: its numbers
				f.vector(f.slot(kind, 1), 4)
			}
		}
		f.fields(f.slot(pos, 5), depth+1)
		f.pairs(f.slot(pos, 6))
	}
}

// pairs checks metadata of a user.
func (f *flat) pairs(at uint32) {
	start, n := f.vector(at, 4)
	for i := range n {
		pos := f.follow(start + 4*i)
		f.text(f.slot(pos, 0))
		f.text(f.slot(pos, 1))
	}
}
