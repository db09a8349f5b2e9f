package rvalue

import (
	"encoding/base64"
	"testing"
)

// compact is serialize(1:2e8, NULL): 133 bytes.
const compact = "WAoAAAADAAQCAgADBQAAAAAFVVRGLTgAAADuAAAAAgAAAAEABAAJAAAADmNvbXBhY3RfaW50c2VxAAAAAgAAAAEABA" +
	"AJAAAABGJhc2UAAAACAAAADQAAAAEAAAANAAAA/gAAAA4AAAADQafXhAAAAAA/8AAAAAAAAD/wAAAAAAAAAAAA/g=="

// frame is serialize() of a data.frame with that as its column.
const frame = "WAoAAAADAAQCAgADBQAAAAAFVVRGLTgAAAMTAAAAAQAAAO4AAAACAAAAAQAEAAkAAAAOY29tcGFjdF9pbnRzZXEAAAACAAAAAQAEAAkAAAAEYm" +
	"FzZQAAAAIAAAANAAAAAQAAAA0AAAD+AAAADgAAAANBp9eEAAAAAD/wAAAAAAAAP/AAAAAAAAAAAAD+AAAEAgAAAAEABAAJAAAABW5hbWVzAAAAEAAAAAEABAAJ" +
	"AAAAAWEAAAQCAAAAAQAEAAkAAAAFY2xhc3MAAAAQAAAAAQAEAAkAAAAKZGF0YS5mcmFtZQAABAIAAAABAAQACQAAAAlyb3cubmFtZXMAAAANAAAAAoAAAAD0FD4AAAAA/g=="

// TestSplitOfASequence: what is short as R writes it, and would be gigabytes in parts, rows or as JSON, is
// refused before it is made.
func TestSplitOfASequence(t *testing.T) {
	f := func(text string, make func(b []byte) (made int, err error)) {
		t.Helper()
		if n := refused(t, text, make); n > 1<<20 {
			t.Errorf("it took %d bytes", n)
		}
	}
	f(compact, func(b []byte) (int, error) { parts, _, err := Split(b, 1000); return len(parts), err })
	f(frame, func(b []byte) (int, error) { rows, _, err := Rows(b, 1000); return len(rows), err })
	f(compact, func(b []byte) (int, error) { text, err := ToJSON(b, nil); return len(text), err })
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

// refused is how many bytes it took to refuse a value.
func refused(t *testing.T, text string, f func(b []byte) (made int, err error)) int64 {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	var made int
	r := testing.Benchmark(func(bench *testing.B) {
		bench.ReportAllocs()
		for bench.Loop() {
			made, err = f(b)
		}
	})
	if err == nil || made != 0 {
		t.Errorf("%d are made, %v", made, err)
	}
	return r.AllocedBytesPerOp()
}
