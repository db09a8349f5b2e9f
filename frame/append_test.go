package frame

import (
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// copyInto appends rows [i, j) of f to a builder of its schema.
func copyInto(b *Builder, f Frame, i, j int) {
	for k := range int(f.NumCols()) {
		c, a := b.Column(k), f.Column(k)
		for r := i; r < j; r++ {
			switch a := a.(type) {
			case *array.Dictionary:
				if a.IsNull(r) {
					c.AppendNull()
				} else {
					c.AppendString(a.Dictionary().(*array.String).Value(a.GetValueIndex(r)))
				}
			case *array.List:
				if a.IsNull(r) {
					c.AppendNull()
					continue
				}
				lo, hi := a.ValueOffsets(r)
				c.Child().appendRange(a.ListValues(), int(lo), int(hi))
				c.AppendList()
			default:
				c.appendRange(a, r, r+1)
			}
		}
	}
}

// Rows that were dropped leave nothing behind, wherever the cut falls in a byte
// of a bitmap, and a builder starts clean after each frame.
func TestTruncate(t *testing.T) {
	f := everyType(t)
	long, err := Concat(f, f, f, f)
	if err != nil {
		t.Fatal(err)
	}
	b := NewBuilderSize(f.Schema(), 3)
	copyInto(b, f, 0, 5) // brings the levels of the ordered factor in their order
	if _, err := b.Frame(); err != nil {
		t.Fatal(err)
	}
	for cut := range 20 {
		copyInto(b, long, 0, cut)
		copyInto(b, long, 1, 14)
		for k := range int(f.NumCols()) {
			b.Column(k).Truncate(cut)
			if got, want := b.Column(k).Nulls(), sliceArray(long.Column(k), 0, cut).NullN(); got != want {
				t.Errorf("cut at %d: column %d has %d nulls, want %d", cut, k, got, want)
			}
		}
		copyInto(b, long, cut, 20)
		got, err := b.Frame()
		if err != nil {
			t.Fatal(err)
		}
		if d := Diff(long, got); d != "" {
			t.Errorf("cut at %d: %s", cut, d)
		}
	}
}

// The levels of a factor's frames are one growing table; earlier frames must
// not see the later ones change.
func TestFactorLevelsGrow(t *testing.T) {
	b := NewBuilderSize(arrow.NewSchema([]arrow.Field{{Name: "x", Type: FactorType(false), Nullable: true}}, nil), 2)
	var frames []Frame
	for _, rows := range [][]string{{"a"}, {"b", "a"}, {"c", "b"}} {
		for _, r := range rows {
			b.Column(0).AppendString(r)
		}
		f, err := b.Frame()
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	for i, want := range []string{`x factor["a"]: a`, `x factor["a" "b"]: b a`, `x factor["a" "b" "c"]: c b`} {
		if got := show(frames[i]); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Declared levels come first, in their order, also those that no row has.
func TestDeclaredLevels(t *testing.T) {
	field := arrow.Field{Name: "x", Type: FactorType(true), Nullable: true,
		Metadata: arrow.MetadataFrom(map[string]string{MetaLevels: `["low","mid","high"]`})}
	s := arrow.NewSchema([]arrow.Field{field}, nil)
	b := NewBuilderSize(s, 2)
	b.Column(0).AppendString("high")
	b.Column(0).AppendString("other")
	f, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	if got := show(f); got != `x ordered["low" "mid" "high" "other"]: high other` {
		t.Error(got)
	}
	if got := show(Empty(s)); got != `x ordered["low" "mid" "high"]:` {
		t.Error(got)
	}
}
