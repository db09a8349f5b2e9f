package ndjson

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

func fields(t testing.TB, types map[string]string) map[string]arrow.Field {
	t.Helper()
	m := map[string]arrow.Field{}
	for name, typ := range types {
		f, err := frame.ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = f
	}
	return m
}
