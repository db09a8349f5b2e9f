package rdata

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWritingRefusesWhatRCannotHold(t *testing.T) {
	f := func(v Value, is error, text string) {
		t.Helper()
		b, err := AppendItem([]byte("before"), v)
		if !errors.Is(err, is) || err.Error() != text {
			t.Errorf("%v; want %s", err, text)
		}
		if string(b) != "before" {
			t.Errorf("%q was appended", b)
		}
	}
	nul, bad := NewCharacter([]string{"ok", "a\x00b"}), NewCharacter([]string{"é", "\xff"})
	const because = "embedded NUL, which R strings cannot hold"
	f(nul, ErrNUL, "rdata: write: element 2: "+because)
	f(NewCharacter([]string{"123456789\x00"}), ErrNUL, "rdata: write: element 1: "+because)
	f(bad, ErrUTF8, "rdata: write: element 2: not valid UTF-8")
	f(DataFrame([]string{"id", "name"}, []Value{&Integer{}, nul}), ErrNUL, `rdata: write: element "name": element 2: `+because)
	f(&List{Values: []Value{Null{}, bad}}, ErrUTF8, "rdata: write: element 2: element 2: not valid UTF-8")
	f(&Raw{Attrs: Attributes{{"unit", nul}}}, ErrNUL, `rdata: write: attribute "unit": element 2: `+because)
	f(&Raw{Attrs: Attributes{{"\xff", Null{}}}}, ErrUTF8, "rdata: write: name of an attribute: not valid UTF-8")
	f(&Symbol{"a\x00"}, ErrNUL, "rdata: write: symbol: "+because)
	f(&Pairlist{Cells: []Cell{{"\x00", Null{}}}}, ErrNUL, "rdata: write: tag 1: "+because)
}

func TestWritingRefusesBrokenValues(t *testing.T) {
	f := func(v Value, text string) {
		t.Helper()
		if _, err := AppendItem(nil, v); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v; want %s", err, text)
		}
	}
	f(&Character{Offsets: []int64{0, 3}, Data: []byte("ab")}, "element 1: offsets 0 to 3 of 2 bytes")
	f(&Character{Offsets: []int64{0, 2, 1}, Data: []byte("ab")}, "element 2: offsets 2 to 1")
	f(&Character{Offsets: []int64{-1, 1}, Data: []byte("ab")}, "begin below 0")
	f(&Opaque{Kind: KindClosure}, "opaque closure: rdata: byte 0: unexpected end")
	f(&Opaque{Kind: KindClosure, Item: words(int(codeNil), 1)}, "opaque closure: 4 bytes after its end")
	f(&Raw{Attrs: Attributes{{"", Null{}}}}, "an attribute without a name")
	f(&Symbol{}, "a symbol without a name")
	if _, err := Append(nil, Null{}, Format{Version: 4}); err == nil {
		t.Error("version 4 was written")
	}
}

// What Arrow keeps and what a Character keeps are written alike.
func TestStrColumn(t *testing.T) {
	long := strings.Repeat("long ", 20)
	for _, texts := range [][]string{{}, {""}, {"a", "", "bc", long, "sixteen bytes ok", "x"}, {"é", long, "日本"}} {
		c := &Character{}
		offsets, data := []int32{3}, []byte("\x00\xff-") // not part of it
		valid := []byte{0, 0}
		for i, s := range append(texts, texts...) {
			if i < len(texts) {
				c.Append(s)
				valid[(i+2)/8] |= 1 << ((i + 2) % 8)
			} else {
				c.AppendNA() // an element that is NA may have bytes all the same
			}
			data = append(data, s...)
			offsets = append(offsets, int32(len(data)))
		}
		for _, big := range []bool{false, true} {
			want := Encoder{big: big}
			want.VectorHead(KindCharacter, c.Len(), false, false)
			got := Encoder{big: big, Buf: slices.Clone(want.Buf)}
			if _, err := appendStrings(&want, c.Offsets, c.Data, missingBits(c.Missing)); err != nil {
				t.Fatal(err)
			}
			if _, err := got.StrColumn(offsets, data, valid, 2); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Buf, want.Buf) {
				t.Errorf("%q big %v:\n%x\n%x", texts, big, got.Buf, want.Buf)
			}
			if big {
				continue
			}
			v, err := UnmarshalItem(got.Buf, nil)
			if err != nil || !slices.Equal(v.(*Character).Strings(), c.Strings()) {
				t.Errorf("%v, %v; want %q", v, err, c.Strings())
			}
		}
	}
	var e Encoder
	if i, err := e.StrColumn([]int32{0, 1, 2}, []byte("a\xff"), nil, 0); i != 1 || !errors.Is(err, ErrUTF8) {
		t.Errorf("element %d: %v", i, err)
	}
	if i, err := e.StrColumn([]int32{0, 1, 2}, []byte("a\x00"), []byte{1}, 0); err != nil {
		t.Errorf("element %d, which is NA: %v", i, err)
	}
}

func TestEncoderErr(t *testing.T) {
	var e Encoder
	_ = e.Strs("a", "b")
	if e.Err() != nil {
		t.Errorf("%v without a reason", e.Err())
	}
	_ = e.Strs("a", "\xff")
	_ = e.Str([]byte{0})
	_ = e.Strs("\x00")
	if err := e.Err(); !errors.Is(err, ErrUTF8) || err.Error() != "element 2: not valid UTF-8" {
		t.Errorf("%v is not the first", err)
	}
	if e.Reset(); e.Err() != nil {
		t.Errorf("%v after Reset", e.Err())
	}
}

func TestNativeEncodingOfVersion3(t *testing.T) {
	header := func(name string) []byte {
		return words("B\n", 3, int(writtenByR), int(readableV3), len(name), name)
	}
	text := words(16, 2, 9, 4, "caf\xe9", int(charUTF8), 2, "é")
	v, err := Unmarshal(append(header("ISO-8859-1"), text...), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.(*Character).Strings(); !slices.Equal(got, []string{"café", "é"}) {
		t.Errorf("%q", got)
	}
	if _, err := Unmarshal(append(header("UTF-8"), text...), nil); err == nil {
		t.Error("latin1 passed for UTF-8")
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.rds")
	want := NewCharacter([]string{"a", "é"})
	if err := WriteFile(path, &Raw{Values: make([]byte, 1000)}, None); err != nil {
		t.Fatal(err)
	}
	for c := None; c <= XZ; c++ {
		if err := WriteFile(path, want, c); err != nil {
			t.Fatal(err)
		}
		v, err := ReadFile(path, nil)
		if err != nil || !slices.Equal(v.(*Character).Strings(), want.Strings()) {
			t.Errorf("%v: %v, %v", c, v, err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, b[:len(b)-3])
		if v, err := ReadFile(path, nil); err == nil {
			t.Errorf("%v, 3 bytes short: %v", c, v)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name the file", err)
		}
		writeFile(t, path, b)
		if _, err := ReadFile(path, &Limits{MaxBytes: 40}); err == nil || !strings.Contains(err.Error(), "limit of 40 bytes") {
			t.Errorf("%v: %v; want the limit", c, err)
		}
	}
	if err := WriteFile(filepath.Join(dir, "y.rds"), NewCharacter([]string{"\x00"}), Gzip); !errors.Is(err, ErrNUL) {
		t.Errorf("%v; want ErrNUL", err)
	}
	if err := WriteFile(path, want, Compression(9)); err == nil {
		t.Error("compression 9 was written")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("files left: %v, %v", files, err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none.rds"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v; want os.ErrNotExist", err)
	}
}

// A gzip file may be several put one after the other.
func TestGzipMembers(t *testing.T) {
	b, err := Append(nil, NewCharacter([]string{"in two parts"}), Format{})
	if err != nil {
		t.Fatal(err)
	}
	var z bytes.Buffer
	for _, part := range [][]byte{b[:20], b[20:]} {
		w := gzip.NewWriter(&z)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	v, err := Decode(&z, nil)
	if err != nil || v.(*Character).Strings()[0] != "in two parts" {
		t.Errorf("%v, %v", v, err)
	}
}
