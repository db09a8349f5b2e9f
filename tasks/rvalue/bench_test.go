package rvalue

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// many is a list of n small named vectors, as serialize() sends it by default.
func many(b *testing.B, n int) []byte {
	l := &rdata.List{}
	for i := range n {
		l.Values = append(l.Values, &rdata.Double{Values: []float64{float64(i)}, Attrs: rdata.Attributes{{Name: "names", Value: rdata.NewCharacter([]string{"x"})}}})
	}
	stream, err := rdata.Append(nil, l, rdata.Format{Version: 3, XDR: true})
	if err != nil {
		b.Fatal(err)
	}
	return stream
}

func BenchmarkSplitList(b *testing.B) {
	stream := many(b, 100_000)
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		if parts, _, err := Split(stream, 1<<20); err != nil || len(parts) != 100_000 {
			b.Fatal(len(parts), err)
		}
	}
}

func BenchmarkSplitVector(b *testing.B) {
	stream, err := encode(&rdata.Double{Values: make([]float64, 100_000)})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if parts, _, err := Split(stream, 1<<20); err != nil || len(parts) != 100_000 {
			b.Fatal(len(parts), err)
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	parts, _, err := Split(many(b, 100_000), 1<<20)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Join(parts, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJSON(b *testing.B) {
	var doc strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&doc, `%c{"a":%d,"b":"text %d","c":%g}`, "[,"[min(i, 1)], i, i, float64(i)/8)
	}
	doc.WriteByte(']')
	stream, err := FromJSON([]byte(doc.String()))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("from", func(b *testing.B) {
		b.SetBytes(int64(doc.Len()))
		for b.Loop() {
			if _, err := FromJSON([]byte(doc.String())); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("to", func(b *testing.B) {
		b.SetBytes(int64(doc.Len()))
		for b.Loop() {
			if _, err := ToJSON(stream, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
