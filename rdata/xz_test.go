package rdata

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// xzFile compresses text in blocks of 1000 bytes.
func xzFile(t *testing.T, text []byte, c xz.WriterConfig) []byte {
	t.Helper()
	var z bytes.Buffer
	c.BlockSize = 1000
	w, err := c.NewWriter(&z)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func TestXZGuardPasses(t *testing.T) {
	text := []byte(strings.Repeat("some text to be compressed, ", 1000))
	for i := range text {
		text[i] ^= byte(i * i >> 8) // so that not every chunk compresses
	}
	var files [][]byte
	for _, check := range []byte{xz.CRC32, xz.CRC64, xz.SHA256} {
		for _, n := range []int{0, 1, 999, 28_000} {
			files = append(files, xzFile(t, text[:n], xz.WriterConfig{CheckSum: check}))
		}
	}
	files = append(files, xzFile(t, text, xz.WriterConfig{NoCheckSum: true}))
	files = append(files, bytes.Join(files, make([]byte, 8)))
	for i, want := range files {
		got, err := io.ReadAll(newXZGuard(bufio.NewReader(bytes.NewReader(want))))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("file %d of %d bytes: got %d, %v", i, len(want), len(got), err)
		}
		r, err := xz.NewReader(newXZGuard(bufio.NewReader(bytes.NewReader(want))))
		if err != nil {
			t.Errorf("file %d: %v", i, err)
		} else if _, err := io.Copy(io.Discard, r); err != nil {
			t.Errorf("file %d: %v", i, err)
		}
	}
}

func TestXZGuardRefuses(t *testing.T) {
	const property = 12 + 4 // of the first block: after header and size, flags, filter, 1
	f := func(change func(b []byte) []byte, msg string) {
		t.Helper()
		file := change(xzFile(t, make([]byte, 3000), xz.WriterConfig{DictCap: 1 << 20}))
		_, err := io.ReadAll(newXZGuard(bufio.NewReader(bytes.NewReader(file))))
		if err == nil || !strings.Contains(err.Error(), msg) {
			t.Errorf("%v; want %s", err, msg)
		}
	}
	limit := "dictionary is over the limit of 64 MiB"
	set := func(at int, to byte) func([]byte) []byte {
		return func(b []byte) []byte { b[at] = to; return b }
	}
	f(set(property, 40), limit)
	f(set(property, 29), limit)
	f(set(property, 41), "malformed")
	f(set(property-2, 3), "malformed") // another filter
	f(func(b []byte) []byte {
		second := 12 + bytes.Index(b[12:], b[12:property+1]) // the same header again
		second += 1 + bytes.Index(b[second+1:], b[12:property+1])
		b[second+property-12] = 40
		return b
	}, limit)
	f(func(b []byte) []byte { return b[:20] }, "EOF")
}
