package rvalue

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// FuzzFromJSON: every valid document is a value, and is shown as JSON again.
func FuzzFromJSON(f *testing.F) {
	for _, doc := range documents {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		b, err := FromJSON(doc)
		if err != nil {
			return
		}
		js, err := ToJSON(b, nil)
		if err != nil || !json.Valid(js) {
			t.Fatalf("%s is shown as %s, %v", doc, js, err)
		}
		if _, _, err := Split(b, 1<<20); err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
	})
}

// FuzzStream: streams of anyone give an error or what R can read.
func FuzzStream(f *testing.F) {
	for _, doc := range documents {
		b, err := FromJSON([]byte(doc))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, c := range []rdata.Compression{rdata.Gzip, rdata.XZ} {
		var b bytes.Buffer
		w, err := rdata.Compress(&b, c)
		if err != nil {
			f.Fatal(err)
		}
		if err := rdata.Encode(w, rdata.NewCharacter([]string{"x"}), rdata.Format{Version: 3, XDR: true}); err != nil {
			f.Fatal(err)
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	whole := func(t *testing.T, what string, b []byte) {
		if _, err := rdata.StreamKind(b); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var e rdata.Encoder
		if err := e.Stream(b, nil); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if js, err := ToJSON(b, nil); err == nil && !json.Valid(js) {
			t.Fatalf("shown as %s", js)
		}
		if v, err := decode(b, expanding(1<<20)); err == nil {
			if s := describe(v); s == "" || len(s) > 1000 || strings.ContainsRune(s, '\n') {
				t.Fatalf("described as %q", s)
			}
		}
		if n, err := Normalize(b); err == nil && len(n) > 0 {
			if again, err := Normalize(n); err != nil || !bytes.Equal(n, again) {
				t.Fatalf("%x is normal as %x, %v", n, again, err)
			}
		}
		parts, names, err := Split(b, 1<<20)
		if err == nil {
			if names != nil && len(names) != len(parts) {
				t.Fatalf("%d names for %d elements", len(names), len(parts))
			}
			for _, p := range parts {
				whole(t, "element", p)
			}
			j, err := Join(parts, nil)
			if err != nil {
				t.Fatal(err)
			}
			again, _, err := Split(j, 1<<20)
			if err != nil || len(again) != len(parts) {
				t.Fatalf("%d elements, then %d, %v", len(parts), len(again), err)
			}
			for i := range parts {
				if !bytes.Equal(parts[i], again[i]) {
					t.Fatalf("element %d: %x, then %x", i+1, parts[i], again[i])
				}
			}
		}
		if rows, _, err := Rows(b, 1<<20); err == nil {
			for _, r := range rows[:min(len(rows), 100)] {
				whole(t, "row", r)
			}
		}
	})
}
