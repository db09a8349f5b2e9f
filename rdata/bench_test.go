package rdata

import (
	"fmt"
	"testing"
)

// benchFrame is 10,000 rows of 3 doubles, an integer, a factor and strings.
func benchFrame() (v *List, offsets []int32, data []byte) {
	const n = 10_000
	doubles := func() Value {
		d := &Double{Values: make([]float64, n)}
		for i := range d.Values {
			d.Values[i] = float64(i) / 7
		}
		return d
	}
	integers, factor, text := &Integer{Values: make([]int32, n)}, &Integer{Values: make([]int32, n)}, &Character{}
	for i := range n {
		integers.Values[i] = int32(i)
		factor.Values[i] = int32(i%3) + 1
		text.Append(fmt.Sprintf("row %d", i))
	}
	factor.Attrs = Attributes{{"levels", NewCharacter([]string{"a", "b", "c"})}, {"class", NewCharacter([]string{"factor"})}}
	for _, o := range text.Offsets {
		offsets = append(offsets, int32(o))
	}
	return DataFrame([]string{"x", "y", "z", "i", "f", "s"}, []Value{doubles(), doubles(), doubles(), integers, factor, text}), offsets, text.Data
}

// BenchmarkMemcpy is the limit: what the machine needs to copy such a frame's bytes.
func BenchmarkMemcpy(b *testing.B) {
	v, _, _ := benchFrame()
	src := mustItem(b, v)
	dst := make([]byte, len(src))
	b.SetBytes(int64(len(src)))
	for b.Loop() {
		copy(dst, src)
	}
}

// BenchmarkEncoder writes columns as package frame does, into memory used before.
func BenchmarkEncoder(b *testing.B) {
	v, offsets, data := benchFrame()
	var e Encoder
	encode := func() {
		e.Reset()
		e.VectorHead(KindList, 6, true, true)
		for _, c := range v.Values[:3] {
			e.VectorHead(KindDouble, c.Len(), false, false)
			e.Float64s(c.(*Double).Values)
		}
		e.VectorHead(KindInteger, v.Values[3].Len(), false, false)
		e.Int32s(v.Values[3].(*Integer).Values)
		e.VectorHead(KindInteger, v.Values[4].Len(), true, true)
		e.Int32s(v.Values[4].(*Integer).Values)
		e.Attr("levels")
		_ = e.Strs("a", "b", "c")
		e.Attr("class")
		_ = e.Strs("factor")
		e.EndAttrs()
		e.VectorHead(KindCharacter, len(offsets)-1, false, false)
		_, _ = e.StrColumn(offsets, data, nil, 0)
		e.Attr("names")
		_ = e.Strs("x", "y", "z", "i", "f", "s")
		e.Attr("class")
		_ = e.Strs("data.frame")
		e.Attr("row.names")
		e.VectorHead(KindInteger, 2, false, false)
		e.Int32s([]int32{NAInteger, int32(-v.Values[0].Len())})
		e.EndAttrs()
	}
	encode()
	if want := mustItem(b, v); string(e.Buf) != string(want) {
		b.Fatal("the item is not that of AppendItem")
	}
	b.SetBytes(int64(len(e.Buf)))
	b.ReportAllocs()
	for b.Loop() {
		encode()
	}
}

func BenchmarkAppendItem(b *testing.B) {
	v, _, _ := benchFrame()
	buf := mustItem(b, v)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buf, err = AppendItem(buf[:0], v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshalItem(b *testing.B) {
	v, _, _ := benchFrame()
	item := mustItem(b, v)
	b.SetBytes(int64(len(item)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := UnmarshalItem(item, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnmarshalXDR(b *testing.B) {
	v, _, _ := benchFrame()
	stream, err := Append(nil, v, Format{XDR: true})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Unmarshal(stream, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkItemSize(b *testing.B) {
	v, _, _ := benchFrame()
	item := mustItem(b, v)
	b.SetBytes(int64(len(item)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ItemSize(item, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSplitStream cuts a list of ten frames.
func BenchmarkSplitStream(b *testing.B) {
	v, _, _ := benchFrame()
	l := &List{}
	for range 10 {
		l.Values = append(l.Values, v)
	}
	data, err := Append(nil, l, Format{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := SplitStream(data, nil); err != nil {
			b.Fatal(err)
		}
	}
}
