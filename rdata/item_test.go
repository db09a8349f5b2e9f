package rdata

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func mustItem(t interface{ Fatal(...any) }, v Value) []byte {
	b, err := AppendItem(nil, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHeaderAndItemMakeAStream(t *testing.T) {
	v := DataFrame([]string{"x"}, []Value{&Integer{Values: []int32{1, 2}}})
	header := AppendHeader(nil)
	if len(header) != HeaderSize {
		t.Errorf("header of %d bytes, HeaderSize is %d", len(header), HeaderSize)
	}
	got, err := Append(nil, v, Format{})
	if err != nil {
		t.Fatal(err)
	}
	if want := append(header, mustItem(t, v)...); !bytes.Equal(got, want) {
		t.Errorf("stream is not header and item:\n%x\n%x", got, want)
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genValue(4).Draw(t, "value")
		for _, f := range formats {
			b, err := Append(nil, want, f)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Unmarshal(b, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, equal); diff != "" {
				t.Fatalf("%+v (-want +got):\n%s", f, diff)
			}
		}
	})
}

func TestItemSizeAndSplitList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(genValue(3), 0, 5).Draw(t, "values")
		list := mustItem(t, &List{Values: values})
		n, err := ItemSize(append(list, "what follows"...), nil)
		if err != nil || n != len(list) {
			t.Fatalf("size %d, %v; want %d", n, err, len(list))
		}
		items, err := SplitList(list, nil)
		if err != nil || len(items) != len(values) {
			t.Fatalf("%d items, %v; want %d", len(items), err, len(values))
		}
		for i, item := range items {
			got, err := UnmarshalItem(item, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(values[i], got, equal); diff != "" {
				t.Fatalf("element %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestSplitListShares(t *testing.T) {
	frame := DataFrame([]string{"x"}, []Value{&Integer{Values: []int32{1, 2}}})
	list := mustItem(t, &List{Values: []Value{NewCharacter([]string{"ok"}), frame, frame, Null{}}})
	items, err := SplitList(list, nil)
	if err != nil {
		t.Fatal(err)
	}
	shares := func(b []byte) bool {
		for i := range list {
			if &list[i] == &b[0] {
				return true
			}
		}
		return false
	}
	for i, want := range []bool{true, true, false, true} {
		if got := shares(items[i]); got != want {
			t.Errorf("element %d shares memory: %v, want %v", i+1, got, want)
		}
	}
	if !bytes.Equal(items[1], items[2]) {
		t.Error("equal elements have unequal items")
	}
	if _, err := SplitList(mustItem(t, Null{}), nil); err == nil {
		t.Error("NULL was split")
	}
	if _, err := SplitList(append(list, 0), nil); err == nil {
		t.Error("a byte after the list went unnoticed")
	}
}

// TestStringsInRuns: strings that are copied at once come out as those that are walked one
// by one, whatever stands between them, and a stream that ends too early is an error.
func TestStringsInRuns(t *testing.T) {
	words := &Character{}
	for i := range 40 {
		switch {
		case i%7 == 3:
			words.AppendNA()
		case i%5 == 0:
			words.Append("")
		default:
			words.Append(strings.Repeat("é", i%3) + "x")
		}
	}
	list := &List{Values: []Value{words, NewCharacter([]string{"a"}), &Character{}, words}}
	native, err := Append(nil, list, Format{})
	if err != nil {
		t.Fatal(err)
	}
	xdr, err := Append(nil, list, Format{XDR: true}) // of which no two are copied at once
	if err != nil {
		t.Fatal(err)
	}
	// One without a mark, which is not copied as it is.
	unmarked := bytes.Clone(native)
	at := bytes.Index(unmarked, binary.LittleEndian.AppendUint32(nil, charUTF8))
	binary.LittleEndian.PutUint32(unmarked[at:], uint32(KindChar))
	for name, b := range map[string][]byte{"native": native, "xdr": xdr, "unmarked": unmarked} {
		elements, _, err := SplitStream(b, nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, e := range elements {
			want, err := Append(nil, list.Values[i], Format{})
			if err != nil || !bytes.Equal(e, want) {
				t.Errorf("%s: element %d is %x, want %x; %v", name, i+1, e, want, err)
			}
		}
	}
	for n := range native {
		if _, _, err := SplitStream(native[:n], nil); err == nil {
			t.Fatalf("%d of %d bytes are taken for all", n, len(native))
		}
	}
	binary.LittleEndian.PutUint32(native[at:], charUTF8&^0xff|uint32(KindInteger))
	if _, _, err := SplitStream(native, nil); err == nil {
		t.Error("a number is taken for a string")
	}
}
