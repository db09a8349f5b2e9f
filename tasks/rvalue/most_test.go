package rvalue

import (
	"encoding/base64"
	"testing"
)

// compact is serialize(1:2e8, NULL): 133 bytes.
const compact = "WAoAAAADAAQCAgADBQAAAAAFVVRGLTgAAADuAAAAAgAAAAEABAAJAAAADmNvbXBhY3RfaW50c2VxAAAAAgAAAAEABA" +
	"AJAAAABGJhc2UAAAACAAAADQAAAAEAAAANAAAA/gAAAA4AAAADQafXhAAAAAA/8AAAAAAAAD/wAAAAAAAAAAAA/g=="

// TestSplitOfASequence: what is short as R writes it, and would be gigabytes in parts, is
// refused before it is made.
func TestSplitOfASequence(t *testing.T) {
	b, err := base64.StdEncoding.DecodeString(compact)
	if err != nil {
		t.Fatal(err)
	}
	var parts [][]byte
	r := testing.Benchmark(func(bench *testing.B) {
		bench.ReportAllocs()
		for bench.Loop() {
			parts, _, err = Split(b, 1000)
		}
	})
	if err == nil || len(parts) != 0 {
		t.Errorf("%d elements, %v", len(parts), err)
	}
	if n := r.AllocedBytesPerOp(); n > 1<<20 {
		t.Errorf("it took %d bytes", n)
	}
	for _, s := range []struct{ n, most int }{{3, 3}, {3, 2}} {
		list, err := FromJSON([]byte(`[1, "a", [2]]`))
		if err != nil {
			t.Fatal(err)
		}
		vector, err := FromJSON([]byte(`[1, 2, 3]`))
		if err != nil {
			t.Fatal(err)
		}
		frame, err := FromJSON([]byte(`[{"a": 1}, {"a": 2}, {"a": 3}]`))
		if err != nil {
			t.Fatal(err)
		}
		_, _, errList := Split(list, s.most)
		_, _, errVector := Split(vector, s.most)
		_, _, errRows := Rows(frame, s.most)
		for _, err := range []error{errList, errVector, errRows} {
			if (err != nil) != (s.n > s.most) {
				t.Errorf("%d of at most %d: %v", s.n, s.most, err)
			}
		}
	}
}
