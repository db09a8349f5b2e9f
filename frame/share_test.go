package frame

import (
	"sync"
	"testing"
)

// Frames are read by many at once, whatever they came from; -race watches.
func TestReadersShare(t *testing.T) {
	f := everyType(t)
	item, err := AppendR(nil, f, ROptions{})
	if err != nil {
		t.Fatal(err)
	}
	fromR, err := FromR(item)
	if err != nil {
		t.Fatal(err)
	}
	joined, err := Concat(f, Slice(f, 1, 4))
	if err != nil {
		t.Fatal(err)
	}
	for _, shared := range []Frame{f, fromR, joined, Slice(joined, 1, 6), Restore(fromR, f.Schema())} {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				out, err := AppendR(nil, Slice(shared, 1, int(shared.NumRows())), ROptions{})
				if err != nil {
					t.Error(err)
				}
				if _, err := FromR(out); err != nil {
					t.Error(err)
				}
				if Bytes(shared) == 0 || !Equal(shared, shared) {
					t.Error("not itself")
				}
				if _, err := Concat(shared, shared); err != nil {
					t.Error(err)
				}
				for i := range int(shared.NumCols()) {
					AppendJSON(nil, shared.Schema().Field(i), shared.Column(i), 0)
				}
			})
		}
		wg.Wait()
	}
}

// A frame of few rows does not hold the room of a full one.
func TestBuilderGivesRoomBack(t *testing.T) {
	b := NewBuilder(schemaOf(t, "double", "string"))
	b.Column(0).AppendDouble(1)
	b.Column(1).AppendString("x")
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		for _, buf := range f.Column(i).Data().Buffers() {
			if buf != nil && cap(buf.Bytes()) > 256 {
				t.Errorf("column %d holds %d bytes", i, cap(buf.Bytes()))
			}
		}
	}
}
