package blob

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Block is a group of elements of an array job, each a whole R stream.
//
// Its form: "RPB1", the number of items, the end of each counted from the first item's
// begin, all as little-endian 64-bit words but for the first, and then the items.
type Block struct {
	ends []byte
	data []byte
}

const blockMagic = "RPB1"

// WriteBlock puts items into one block.
func WriteBlock(items [][]byte) []byte {
	size := len(blockMagic) + 8 + 8*len(items)
	for _, item := range items {
		size += len(item)
	}
	b := append(make([]byte, 0, size), blockMagic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(items)))
	end := uint64(0)
	for _, item := range items {
		end += uint64(len(item))
		b = binary.LittleEndian.AppendUint64(b, end)
	}
	for _, item := range items {
		b = append(b, item...)
	}
	return b
}

// ReadBlock takes a block apart. Its items are parts of b.
func ReadBlock(b []byte) (Block, error) {
	if len(b) < len(blockMagic)+8 || string(b[:4]) != blockMagic {
		return Block{}, fmt.Errorf("not a block of elements: it does not begin with %s", blockMagic)
	}
	n := binary.LittleEndian.Uint64(b[4:])
	rest := b[12:]
	if n > uint64(len(rest)/8) {
		return Block{}, fmt.Errorf("block of %d elements in %d bytes: it has been cut off", n, len(b))
	}
	block := Block{rest[:8*n], rest[8*n:]}
	last := uint64(0)
	for i := range int(n) {
		end := binary.LittleEndian.Uint64(block.ends[8*i:])
		if end < last || end > uint64(len(block.data)) {
			return Block{}, fmt.Errorf("block of %d elements: element %d ends at %d of %d bytes", n, i+1, end, len(block.data))
		}
		last = end
	}
	if last != uint64(len(block.data)) {
		return Block{}, fmt.Errorf("block of %d elements: %d bytes after the last", n, uint64(len(block.data))-last)
	}
	return block, nil
}

// Len is how many items there are.
func (b Block) Len() int { return len(b.ends) / 8 }

// At is item i, from 0.
func (b Block) At(i int) []byte {
	from, to := b.span(i)
	return b.data[from:to:to]
}

// span is where item i is among the items.
func (b Block) span(i int) (from, to uint64) {
	if i > 0 {
		from = binary.LittleEndian.Uint64(b.ends[8*(i-1):])
	}
	return from, binary.LittleEndian.Uint64(b.ends[8*i:])
}

// CopyItem writes item i, from 0, of the block that r yields to w. Of a block of any size
// no more is in memory than where its items end.
func CopyItem(w io.Writer, r io.Reader, i int) error {
	in := bufio.NewReaderSize(r, 256<<10)
	head := make([]byte, 12)
	if _, err := io.ReadFull(in, head); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	n := binary.LittleEndian.Uint64(head[4:])
	if string(head[:4]) != blockMagic || uint64(i) >= n || n > 1<<20 {
		return fmt.Errorf("block of %d elements has none of number %d", n, i+1)
	}
	b := Block{ends: make([]byte, 8*n)}
	if _, err := io.ReadFull(in, b.ends); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	from, to := b.span(i)
	if to < from {
		return fmt.Errorf("block: element %d ends before it begins", i+1)
	}
	if _, err := io.CopyN(io.Discard, in, int64(from)); err != nil {
		return fmt.Errorf("block: %w", err)
	}
	_, err := io.CopyN(w, in, int64(to-from))
	return err
}
