package rdata

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// words is an item made of 32-bit words, and of text where a string stands.
func words(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
		case string:
			b = append(b, p...)
		case []byte:
			b = append(b, p...)
		}
	}
	return b
}

func symbol(name string) []byte {
	return words(int(KindSymbol), int(charASCII), len(name), name)
}

func TestMalformedItems(t *testing.T) {
	const ascii, utf8 = int(charASCII), int(charUTF8)
	f := func(item []byte, offset int64, msg string) {
		t.Helper()
		v, err := UnmarshalItem(item, nil)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%v, %v; want an error with %q", v, err, msg)
			return
		}
		if syntax.Offset != offset || !strings.Contains(syntax.Msg, msg) {
			t.Errorf("%v; want byte %d: %s", syntax, offset, msg)
		}
	}
	f(nil, 0, "unexpected end of input")
	f(words(13), 4, "unexpected end of input")
	f(words(13, 2, 1), 4, "vector of length 2 does not fit in the 4 bytes left")
	f(words(13, -2), 4, "vector of length -2")
	f(words(13, -1, 1<<30, 0), 4, "is over the limit")
	f(words(14, -1, 1, 0), 4, "vector of length 4294967296 does not fit")
	f(words(19, 1<<30), 4, "does not fit")
	f(words(99), 0, "unknown type 99")
	f(words(13, 1, 7, 7), 12, "4 bytes after the end of the object")
	f(words(int(codeReference)|1<<8), 0, "reference to object 1, of 0 seen so far")
	f(words(int(codeReference), 5), 0, "reference to object 5, of 0 seen so far")
	f(words(int(codePersistent), 0, 0), 0, "persistent names")
	f(words(int(codeNamespace), 1, 0), 4, "names in persistent strings")
	f(words(1, 13, 0), 4, "a symbol's name is of integer")
	f(words(1, ascii, 0), 12, "a symbol without a name")

	f(words(16, 1, ascii, 5, "ab"), 18, "unexpected end of input")
	f(words(16, 1, 13, 0), 8, "element 1: element of type integer in a character vector")
	f(words(16, 2, ascii, 1, "a", utf8, 2, "\xc3("), 25, "element 2: string that is not valid UTF-8")
	f(words(16, 2, utf8, 1, "\xc3", utf8, 1, "\xa9"), 16, "element 1: string that is not valid UTF-8")
	f(words(16, 1, ascii, 3, "a\x00b"), 17, "element 1: string with an embedded NUL")
	f(words(16, 1, 9, 1, "\xff"), 16, "element 1: string that is not valid UTF-8")
	f(words(16, 1, 9|levelBytes<<12, 1, "\xff"), 16, `element 1: string marked as "bytes"`)
	f(words(16, 1, ascii, -2), 12, "element 1: string of length -2")
	f(words(16, 1, ascii, -3), 12, "element 1: string of length -3")

	f(words(13|flagAttrs, 0, 13, 0), 8, "attributes are not a list of names and values")
	f(words(13|flagAttrs, 0, 2, int(codeNil)), 8, "attributes are not a list of names and values")
	f(words(13|flagAttrs, 0, 2|flagTag, 13, 0), 12, "an attribute's name is not a symbol")

	info := func(class string) []byte {
		return words(2, symbol(class), 2, symbol("base"), 2, 13, 1, 13, int(codeNil))
	}
	seq := info("compact_intseq")
	at := int64(4 + len(seq))
	number := func(x ...float64) []byte {
		b, _ := AppendItem(nil, &Double{Values: x})
		return b
	}
	f(words(int(codeAltrep), 13, 0), 4, "class of an ALTREP object")
	f(words(int(codeAltrep), seq, 13, 0), at, "three numbers")
	f(words(int(codeAltrep), seq, number(1e12, 1, 1)), at, "more than 268435456 bytes")
	f(words(int(codeAltrep), seq, number(1e300, 1, 1)), at, "compact sequence of length 1e+300")
	f(words(int(codeAltrep), seq, number(NAReal, 1, 1)), at, "compact sequence of length NaN")
	f(words(int(codeAltrep), seq, number(3, 1<<31-2, 1)), at, "compact sequence of integers from 2.147483646e+09")
	f(words(int(codeAltrep), seq, number(3, 1, 2)), at, "compact sequence of length 3 by 2")
	f(words(int(codeAltrep), info("mmap_real"), 13, 0), at-5, "memory-mapped")
	f(words(int(codeAltrep), info("deferred_string"), 2, 10, 0, int(codeNil)), at+1, "as.character() of type logical")
	f(words(6, words(int(codeAltrep), info("mmap_real"), 13, 0, int(codeNil))), at-1, "memory-mapped")
}

func TestMalformedHeaders(t *testing.T) {
	f := func(stream string, offset int64, msg string) {
		t.Helper()
		_, err := Unmarshal([]byte(stream), nil)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Offset != offset || !strings.Contains(syntax.Msg, msg) {
			t.Errorf("%v; want byte %d: %s", err, offset, msg)
		}
	}
	f("", 0, "unexpected end of input in the header")
	f("A\n2\n", 0, "ascii = FALSE")
	f("RDX3\nX\n", 0, "saveRDS()")
	f("PAR1", 0, `it begins with "PA"`)
	f("B\n\x01\x00\x00\x00", 2, "version 1 ")
	f("X\n\x00\x00\x00\x04", 2, "version 4 ")
	f("X\n\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff", 18, "unexpected end of input in the header")
}

// A native stream of a big-endian machine differs from XDR in its first letter.
func TestNativeBigEndian(t *testing.T) {
	b, err := Append(nil, &Integer{Values: []int32{7}}, Format{XDR: true})
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 'B'
	v, err := Unmarshal(b, nil)
	if err != nil || v.(*Integer).Values[0] != 7 {
		t.Errorf("%v, %v", v, err)
	}
}

func TestLimits(t *testing.T) {
	item := func(v Value) []byte {
		b, err := AppendItem(nil, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	f := func(item []byte, lim Limits, msg string) {
		t.Helper()
		_, err := UnmarshalItem(item, &lim)
		if msg == "" && err == nil {
			return
		}
		if err == nil || msg == "" || !strings.Contains(err.Error(), msg) {
			t.Errorf("%v; want %q", err, msg)
		}
	}
	var deep Value = Null{}
	for range 10 {
		deep = &List{Values: []Value{deep}}
	}
	f(item(deep), Limits{MaxDepth: 11}, "")
	f(item(deep), Limits{MaxDepth: 10}, "nested deeper than 10")
	f(item(&Integer{Values: make([]int32, 10)}), Limits{MaxLength: 10}, "")
	f(item(&Integer{Values: make([]int32, 10)}), Limits{MaxLength: 9}, "vector of length 10 is over the limit of 9")
	f(item(&Raw{Values: make([]byte, 92)}), Limits{MaxBytes: 100}, "")
	f(item(&Raw{Values: make([]byte, 93)}), Limits{MaxBytes: 100}, "101 bytes are more than the limit of 100")

	// deep nesting beyond any limit ends by the limit, not by the stack
	f(words(strings.Repeat("\x13\x00\x00\x00\x01\x00\x00\x00", 1<<20), int(codeNil)), Limits{}, "nested deeper than 10000")
	f(words(strings.Repeat("\x06\x00\x00\x00", 1<<20), int(codeNil)), Limits{}, "nested deeper than 10000")
}
