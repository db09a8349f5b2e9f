package sinks

import (
	"bytes"
	"encoding/base64"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/rpipe-dev/rpipe/frame"
)

// Other Arrow readers find the dictionaries and zones that Parquet cannot say.
func TestArrowSchemaIsInTheFile(t *testing.T) {
	f := allTypes(t)
	text, err := arrowSchema(f.Schema())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ipc.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Release()
	zones, levels := 0, 0
	for i, got := range r.Schema().Fields() {
		want := f.Schema().Field(i)
		if got.Name != want.Name || !arrow.TypeEqual(got.Type, want.Type) {
			t.Errorf("%v, want %v", got, want)
		}
		switch frame.KindOf(want) {
		case frame.KindTimestamp:
			zones++
		case frame.KindFactor:
			levels++
		}
	}
	if r.Next() || zones == 0 || levels == 0 {
		t.Errorf("%d zones, %d factors", zones, levels)
	}
}
