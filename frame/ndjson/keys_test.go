package ndjson

import (
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	f := func(doc string, want ...string) {
		t.Helper()
		if got, err := Keys([]byte(doc)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", doc, got, err, want)
		}
	}
	f(`{}`)
	f(` { "a" : {"b":1} , "é" : [ 1 , {"c":2} ] }`, "a", "é")
	f(`[{"a":1}]`)
	f(`"a"`)
}
