package frame

import (
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// Concat joins frames of equal schema; dictionaries are unified by string,
// since the codes of a level differ from batch to batch. Levels of an ordered
// factor must follow each other in the same order everywhere. A schema that
// differs is a *ConflictError: Conform the frames first. The result has the
// first frame's schema.
func Concat(fs ...Frame) (Frame, error) {
	if len(fs) == 0 {
		return nil, errors.New("concat: no frames")
	}
	if len(fs) == 1 {
		return fs[0], nil
	}
	s := fs[0].Schema()
	rows := 0
	for _, f := range fs {
		if err := sameSchema(s, f.Schema()); err != nil {
			return nil, fmt.Errorf("concat: %w", err)
		}
		rows += int(f.NumRows())
	}
	cols := make([]arrow.Array, s.NumFields())
	parts := make([]arrow.Array, len(fs))
	for i := range cols {
		for k, f := range fs {
			parts[k] = f.Column(i)
		}
		c, err := concatArrays(parts)
		if err != nil {
			return nil, fmt.Errorf("concat: column %q: %w", s.Field(i).Name, err)
		}
		cols[i] = c
	}
	return New(s, cols, rows), nil
}

func sameSchema(want, have *Schema) error {
	if want == have {
		return nil
	}
	if want.NumFields() != have.NumFields() {
		return fmt.Errorf("%d columns where there were %d", have.NumFields(), want.NumFields())
	}
	for i := range want.NumFields() {
		w, h := want.Field(i), have.Field(i)
		if w.Name != h.Name {
			return fmt.Errorf("column %d is %q where it was %q", i+1, h.Name, w.Name)
		}
		if !sameType(w, h) && !(isUnknown(w) || isUnknown(h)) || !arrow.TypeEqual(w.Type, h.Type) {
			return conflict(h, w, -1, "")
		}
	}
	return nil
}

func concatArrays(parts []arrow.Array) (arrow.Array, error) {
	if _, ok := parts[0].(*array.Dictionary); ok {
		return concatFactors(parts)
	}
	return array.Concatenate(parts, Allocator)
}

func concatFactors(parts []arrow.Array) (arrow.Array, error) {
	n, nulls := 0, 0
	for _, p := range parts {
		n += p.Len()
		nulls += p.NullN()
	}
	codes := make([]int32, 0, n)
	var valid []byte
	if nulls > 0 {
		valid = make([]byte, (n+7)/8)
	}
	t := parts[0].DataType().(*arrow.DictionaryType)
	table := newLevels()
	var shared *array.Data // the levels of the part before, when they are the very same
	var remap []int32
	for _, p := range parts {
		d := p.(*array.Dictionary)
		if valid != nil {
			if d.NullN() == 0 {
				bitutil.SetBitsTo(valid, int64(len(codes)), int64(d.Len()), true)
			} else {
				bitutil.CopyBitmap(d.NullBitmapBytes(), d.Data().Offset(), d.Len(), valid, len(codes))
			}
		}
		if levels := d.Dictionary().Data().(*array.Data); levels != shared {
			var err error
			if remap, err = remapLevels(table, d.Dictionary().(*array.String), t.Ordered); err != nil {
				return nil, err
			}
			shared = levels
		}
		for i, k := range factorCodes(d) {
			if d.IsNull(i) {
				codes = append(codes, 0)
			} else {
				codes = append(codes, remap[k])
			}
		}
	}
	return factorArray(t, n, []*memory.Buffer{buffer(valid), bytesOf(codes)}, nulls, table.array()), nil
}

// remapLevels adds levels to a table and returns their codes in it.
func remapLevels(table *levels, s *array.String, ordered bool) ([]int32, error) {
	remap := make([]int32, s.Len())
	for k := range remap {
		remap[k] = table.code([]byte(s.Value(k)))
		if ordered && k > 0 && remap[k] <= remap[k-1] {
			return nil, fmt.Errorf("ordered levels differ: %q comes after %q here and before it elsewhere; "+
				"give every batch the same levels", s.Value(k), s.Value(k-1))
		}
	}
	return remap, nil
}

// factorCodes are the codes of a dictionary array's rows; those of nulls are arbitrary.
func factorCodes(d *array.Dictionary) []int32 {
	if d.Len() == 0 {
		return nil
	}
	return arrow.Int32Traits.CastFromBytes(d.Data().Buffers()[1].Bytes())[d.Data().Offset():][:d.Len()]
}
