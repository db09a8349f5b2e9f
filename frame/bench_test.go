package frame

import (
	"fmt"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

// benchFrame has 10,000 rows of six columns: an id, a double and two strings
// with few missing values, a flag and a time.
func benchFrame(b *testing.B, lang string) Frame {
	b.Helper()
	var fields []arrow.Field
	for _, c := range [][2]string{{"id", "int64"}, {"val", "double"}, {"ok", "bool"}, {"lang", lang}, {"user", "string"}, {"ts", "timestamp[UTC]"}} {
		f, err := ParseType(c[1])
		if err != nil {
			b.Fatal(err)
		}
		f.Name = c[0]
		fields = append(fields, f)
	}
	bl := NewBuilder(arrow.NewSchema(fields, nil))
	for i := range 10_000 {
		bl.Column(0).AppendInt64(int64(i))
		if i%50 == 0 {
			bl.Column(1).AppendNull()
		} else {
			bl.Column(1).AppendDouble(float64(i) * 1.25)
		}
		bl.Column(2).AppendBool(i%3 == 0)
		if i%61 == 0 {
			bl.Column(3).AppendNull()
		} else {
			bl.Column(3).AppendString(fmt.Sprintf("l%d", i%50))
		}
		bl.Column(4).AppendString(fmt.Sprintf("user-%012d", i))
		bl.Column(5).AppendInt64(1709200000_000000 + int64(i)*1_234_567)
	}
	f, err := bl.Frame()
	if err != nil {
		b.Fatal(err)
	}
	return f
}

func perRow(b *testing.B, rows int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
}

func BenchmarkAppendR(b *testing.B) {
	for _, lang := range []string{"string", "factor"} {
		b.Run(lang, func(b *testing.B) {
			f := benchFrame(b, lang)
			dst, err := AppendR(nil, f, ROptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(dst)))
			b.ReportAllocs()
			for b.Loop() {
				if dst, err = AppendR(dst[:0], f, ROptions{}); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b, 10_000)
		})
	}
}

func BenchmarkFromR(b *testing.B) {
	for _, lang := range []string{"string", "factor"} {
		b.Run(lang, func(b *testing.B) {
			item, err := AppendR(nil, benchFrame(b, lang), ROptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(item)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := FromR(item); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b, 10_000)
		})
	}
}

func BenchmarkParseText(b *testing.B) {
	f := benchFrame(b, "string")
	rows := make([][][]byte, f.NumRows())
	size := 0
	for i := range rows {
		for k := range int(f.NumCols()) {
			text := AppendText(nil, f.Column(k), i, TextOptions{})
			size += len(text) + 1
			rows[i] = append(rows[i], text)
		}
	}
	bl := NewBuilder(f.Schema())
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range rows {
			for k, text := range r {
				if len(text) == 0 {
					bl.Column(k).AppendNull()
				} else if !bl.Column(k).ParseText(text) {
					b.Fatalf("%q", text)
				}
			}
		}
		if _, err := bl.Frame(); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, len(rows))
}

func BenchmarkAppendText(b *testing.B) {
	f := benchFrame(b, "string")
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = dst[:0]
		for i := range int(f.NumRows()) {
			for k := range int(f.NumCols()) {
				dst = AppendText(dst, f.Column(k), i, TextOptions{})
			}
		}
	}
	b.SetBytes(int64(len(dst)))
	perRow(b, int(f.NumRows()))
}
