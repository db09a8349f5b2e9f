//go:build unix

package rpool

import (
	"bytes"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

func TestHeader(t *testing.T) {
	h := header{length: 1 << 20, id: 77, kind: frameValue}
	b := h.append(nil)
	if len(b) != headerSize {
		t.Fatalf("%d bytes", len(b))
	}
	if got, err := parseHeader(b, 1<<20); err != nil || got != h {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseHeader(b, 1<<20-1); err == nil {
		t.Error("a payload over the limit is accepted")
	}
	bad := func(i int, v byte) {
		t.Helper()
		c := bytes.Clone(b)
		c[i] = v
		if got, err := parseHeader(c, 1<<20); err == nil {
			t.Errorf("byte %d = %d: accepted as %+v", i, v, got)
		}
	}
	bad(7, 0x80)                  // a negative length
	bad(12, byte(frameMap))       // a request, not an answer
	bad(12, byte(frameUnknown)+1) // unknown
	bad(15, 1)                    // reserved
	bad(12, 0)                    // nothing
	bad(4, 1)                     // 4 GiB
	bad(12, byte(frameHello)-1)   // unknown
}

func TestRequestIsOneStream(t *testing.T) {
	data, err := rdata.AppendItem(nil, dataFrame("x", 1, 2))
	if err != nil {
		t.Fatal(err)
	}
	args, err := rdata.AppendItem(nil, &rdata.List{Values: []rdata.Value{rdata.Null{}}, Attrs: rdata.Attributes{{Name: "names", Value: text("by")}}})
	if err != nil {
		t.Fatal(err)
	}
	var e rdata.Encoder
	seed := SeedAt(1, 2)
	s := encodeRequest(&e, &Request{Kind: Map, Fun: "f", Data: data, Args: args, Coded: []int32{3}, Seed: &seed})
	s.seal(5, frameMap)
	frame := append(bytes.Clone(s.head), s.tail...)
	v, err := rdata.Unmarshal(frame[headerSize:], nil)
	if err != nil {
		t.Fatal(err)
	}
	l := v.(*rdata.List)
	if len(l.Values) != 5 || l.Values[4].Attributes().Get("class") == nil {
		t.Fatalf("%+v", l)
	}
	if got := l.Values[3].(*rdata.Integer).Values; len(got) != 1 || got[0] != 3 {
		t.Errorf("coded columns %v", got)
	}
	if got := l.Values[1].(*rdata.Integer).Values; Seed(got) != seed {
		t.Errorf("seed %v, want %v", got, seed)
	}
	if _, err := rdata.Unmarshal(l.Values[2].(*rdata.Raw).Values, nil); err != nil {
		t.Errorf("arguments: %v", err)
	}
}

// Whatever an R process sends, reading it ends in a value or an error.
func FuzzAnswers(f *testing.F) {
	reply, err := rdata.Append(nil, &rdata.List{Values: []rdata.Value{
		&rdata.Double{Values: []float64{1, 2}}, text("w"), text("simpleError"), text("message"), text("f(x)"), text("a", "b"),
	}}, rdata.Format{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reply)
	f.Add([]byte(streamHeader))
	f.Add([]byte(streamHeader + "\x13\x00\x00\x00\x03\x00\x00\x00\x0e\x00\x00\x00\xff\xff\xff\x7f"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeValue(b); err == nil && len(r.Data) > len(b) {
			t.Error("a value longer than its reply")
		}
		decodeCondition(b)
		decodeHello(b)
		decodePid(b)
		decodeLoaded(b)
		decodeResult(bytes.Clone(b))
	})
}
