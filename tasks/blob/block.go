package blob

import (
	"encoding/binary"
	"fmt"
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
	from := uint64(0)
	if i > 0 {
		from = binary.LittleEndian.Uint64(b.ends[8*(i-1):])
	}
	to := binary.LittleEndian.Uint64(b.ends[8*i:])
	return b.data[from:to:to]
}
