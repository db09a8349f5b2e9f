package blob

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBlocksHoldItems(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.SliceOf(rapid.Byte())).Draw(t, "items")
		b := WriteBlock(items)
		block, err := ReadBlock(b)
		if err != nil || block.Len() != len(items) {
			t.Fatalf("%d items, %v; want %d", block.Len(), err, len(items))
		}
		for i, item := range items {
			if got := block.At(i); !bytes.Equal(got, item) || cap(got) != len(got) {
				t.Fatalf("item %d is %x, want %x", i, got, item)
			}
			var alone bytes.Buffer
			if err := CopyItem(&alone, bytes.NewReader(b), i); err != nil || !bytes.Equal(alone.Bytes(), item) {
				t.Fatalf("item %d is copied as %x, %v, want %x", i, alone.Bytes(), err, item)
			}
		}
		if n := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); n < len(b) {
			if _, err := ReadBlock(b[:n]); err == nil {
				t.Fatalf("%d of %d bytes are a block too", n, len(b))
			}
		}
		if CopyItem(io.Discard, bytes.NewReader(b), len(items)) == nil {
			t.Fatal("an item after the last is copied")
		}
	})
}

func FuzzReadBlock(f *testing.F) {
	f.Add(WriteBlock(nil))
	f.Add(WriteBlock([][]byte{[]byte("a"), nil, []byte("bcd")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		block, err := ReadBlock(b)
		if err != nil {
			return
		}
		var items [][]byte
		for i := range block.Len() {
			items = append(items, block.At(i))
		}
		if again := WriteBlock(items); !slices.Equal(again, b) {
			t.Fatalf("%x is the block %x", b, again)
		}
	})
}
