package rdata

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fuzzLimits keep one input's cost low.
var fuzzLimits = &Limits{MaxDepth: 500, MaxExpand: 1 << 20}

// addSeeds adds generated values, as streams or as items. What R wrote, and what
// was found, lies in testdata/fuzz.
func addSeeds(f *testing.F, items bool) {
	for i := range 20 {
		v := genValue(3).Example(i)
		if items {
			f.Add(mustItem(f, v))
			continue
		}
		b, err := Append(nil, v, formats[i%len(formats)])
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzUnmarshal(f *testing.F) {
	addSeeds(f, false)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Unmarshal(b, fuzzLimits)
		var syntax *SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > int64(len(b))) {
			t.Fatalf("%v; want a SyntaxError within %d bytes", err, len(b))
		}
		if err != nil {
			return
		}
		// what was read takes no more than what was sent, and what it expands to;
		// a byte of latin1 may become three
		if n := len(mustItem(t, v)); n > 3*len(b)+2<<20 {
			t.Errorf("%d bytes became %d", len(b), n)
		}
	})
}

func FuzzItemSize(f *testing.F) {
	addSeeds(f, true)
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ItemSize(b, fuzzLimits)
		if err != nil {
			if v, err2 := UnmarshalItem(b, fuzzLimits); err2 == nil {
				t.Fatalf("has no size (%v) but is %v", err, v)
			}
			return
		}
		if _, err := UnmarshalItem(b, fuzzLimits); err == nil && n != len(b) {
			t.Fatalf("size is %d, length is %d", n, len(b))
		}
		items, err := SplitList(b[:n], fuzzLimits)
		if err != nil {
			return
		}
		for i, item := range items {
			if n, err := ItemSize(item, fuzzLimits); err != nil || n != len(item) {
				t.Fatalf("element %d of %d bytes: size %d, %v", i+1, len(item), n, err)
			}
		}
	})
}

func FuzzRoundTrip(f *testing.F) {
	addSeeds(f, true)
	f.Fuzz(func(t *testing.T, b []byte) {
		want, err := UnmarshalItem(b, fuzzLimits)
		if err != nil {
			return
		}
		for _, form := range formats {
			b, err := Append(nil, want, form)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Unmarshal(b, nil)
			if err != nil {
				t.Fatalf("%+v: %v", form, err)
			}
			if diff := cmp.Diff(want, got, equal); diff != "" {
				t.Fatalf("%+v (-want +got):\n%s", form, diff)
			}
		}
	})
}
