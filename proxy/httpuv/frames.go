package httpuv

import (
	"encoding/binary"
)

// frames follows the frames of a websocket in one direction (RFC 6455, section
// 5.2), so that a close frame of ours comes between two of them.
type frames struct {
	head   []byte // of the frame at hand, as far as it has come
	left   uint64 // of its payload
	closed bool   // a close frame has come
}

// advance takes note of what has been passed on.
func (f *frames) advance(b []byte) {
	for len(b) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(b)))
			f.left -= n
			b = b[n:]
			continue
		}
		f.head = append(f.head, b[0])
		b = b[1:]
		f.open()
	}
}

// open reads the head once it is whole.
func (f *frames) open() {
	if len(f.head) < 2 {
		return
	}
	size, more := uint64(f.head[1]&0x7f), 0
	switch size {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	mask := 0
	if f.head[1]&0x80 != 0 {
		mask = 4
	}
	if len(f.head) < 2+more+mask {
		return
	}
	switch more {
	case 2:
		size = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 8:
		size = binary.BigEndian.Uint64(f.head[2:])
	}
	if f.head[0]&0x0f == 8 {
		f.closed = true
	}
	f.left, f.head = size, f.head[:0]
}

// between reports whether another frame may be put here.
func (f *frames) between() bool { return len(f.head) == 0 && f.left == 0 && !f.closed }

// Close codes of RFC 6455, section 7.4, and of its registry.
const (
	goingAway      = 1001
	policy         = 1008
	serviceRestart = 1012
)

// closeFrame is one of a server.
func closeFrame(code uint16, reason string) []byte {
	b := []byte{0x88, byte(2 + len(reason))}
	b = binary.BigEndian.AppendUint16(b, code)
	return append(b, reason...)
}
