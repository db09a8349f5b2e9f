package rdata

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxDictionary is the most memory that an .xz file may ask for: what xz -9 uses.
const maxDictionary = 64 << 20

// xzGuard passes an .xz file through, and refuses a block that asks for a larger
// dictionary than maxDictionary. The decompressor makes what a block's header asks
// for, up to 4 GiB, of a file of sixty bytes. The format is that of
// https://tukaani.org/xz/xz-file-format.txt; what is malformed otherwise is left
// to the decompressor to tell.
type xzGuard struct {
	r     *bufio.Reader
	pass  int64 // bytes to pass on before the next part
	next  func() error
	check int64 // bytes of checksum after each block
	size  int64 // of the block or index so far, for its padding
	index int64 // numbers left in the index
}

func newXZGuard(r *bufio.Reader) *xzGuard {
	g := &xzGuard{r: r}
	g.next = g.stream
	return g
}

func (g *xzGuard) Read(p []byte) (int, error) {
	for g.pass == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n, err := g.r.Read(p[:min(int64(len(p)), g.pass)])
	g.pass -= int64(n)
	return n, err
}

// peek looks at the next n bytes, fewer where the file ends.
func (g *xzGuard) peek(n int) ([]byte, error) {
	b, err := g.r.Peek(n)
	if err == io.EOF && len(b) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

var errXZ = errors.New("malformed xz block")

// stream begins a stream, of which a file may have several, with zeros between.
func (g *xzGuard) stream() error {
	b, err := g.peek(4)
	if err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b) == 0 {
		g.pass = 4
		return nil
	}
	if b, err = g.peek(12); err != nil {
		return err
	}
	if id := b[7] & 15; id > 0 { // the sizes of checksums 1-3, 4-6, … double
		g.check = 4 << ((id - 1) / 3)
	} else {
		g.check = 0
	}
	g.pass, g.next = 12, g.block
	return nil
}

// block reads a block's header, or finds the index that follows the last.
func (g *xzGuard) block() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	if b[0] == 0 {
		g.pass, g.size, g.index, g.next = 1, 1, -1, g.number
		return nil
	}
	n := (int(b[0]) + 1) * 4
	if b, err = g.peek(n); err != nil {
		return err
	}
	flags, rest := b[1], b[2:]
	for _, present := range []byte{0x40, 0x80} { // compressed, uncompressed size
		if flags&present != 0 {
			_, k := binary.Uvarint(rest)
			if k <= 0 {
				return errXZ
			}
			rest = rest[k:]
		}
	}
	const lzma2 = 0x21
	if flags&3 != 0 || len(rest) < 3 || rest[0] != lzma2 || rest[1] != 1 || rest[2] > 40 {
		return errXZ
	}
	if bits := rest[2]; (2|int64(bits&1))<<(bits/2+11) > maxDictionary {
		return fmt.Errorf("xz dictionary is over the limit of %d MiB; compress with xz -9 or less", maxDictionary>>20)
	}
	g.pass, g.size, g.next = int64(n), 0, g.chunk
	return nil
}

// chunk reads the header of a piece of compressed data.
func (g *xzGuard) chunk() error {
	b, err := g.peek(1)
	if err != nil {
		return err
	}
	switch control := b[0]; {
	case control == 0:
		g.size++
		g.pass = 1 + padding(g.size) + g.check
		g.next = g.block
		return nil
	case control < 3: // not compressed
		if b, err = g.peek(3); err != nil {
			return err
		}
		g.pass = 3 + int64(binary.BigEndian.Uint16(b[1:])) + 1
	case control >= 0x80:
		if b, err = g.peek(5); err != nil {
			return err
		}
		g.pass = 5 + int64(binary.BigEndian.Uint16(b[3:])) + 1
		if control >= 0xc0 { // new properties
			g.pass++
		}
	default:
		return errXZ
	}
	g.size += g.pass
	return nil
}

// number reads the index: a count of blocks, and two numbers for each.
func (g *xzGuard) number() error {
	if g.index == 0 {
		const checksum, footer = 4, 12
		g.pass = padding(g.size) + checksum + footer
		g.next = g.stream
		return nil
	}
	b, err := g.r.Peek(binary.MaxVarintLen64)
	if err != nil && err != io.EOF {
		return err
	}
	x, n := binary.Uvarint(b)
	switch {
	case n <= 0 || x > 1<<32:
		return errXZ
	case g.index < 0:
		g.index = 2 * int64(x)
	default:
		g.index--
	}
	g.pass = int64(n)
	g.size += g.pass
	return nil
}

func padding(size int64) int64 { return -size & 3 }
