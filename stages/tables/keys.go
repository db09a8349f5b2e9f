package tables

import (
	"bytes"
	"hash/maphash"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// keyColumn is a column of keys in the form in which it is compared: words, or
// text.
type keyColumn struct {
	words []uint64 // nil for text
	text  textColumn
}

// textColumn gives the bytes of each row, without copying.
type textColumn struct {
	codes []int32 // of a factor: which of the texts; nil is each row's own
	ends  []int32
	data  []byte
}

func (t *textColumn) at(i int) []byte {
	if t.codes != nil {
		i = int(t.codes[i])
	}
	return t.data[t.ends[i]:t.ends[i+1]]
}

// equal compares a row of one column with a row of another of the same match.
func (c *keyColumn) equal(i int, d *keyColumn, j int) bool {
	if c.words != nil {
		return c.words[i] == d.words[j]
	}
	return bytes.Equal(c.text.at(i), d.text.at(j))
}

// keyRows is the keys of the rows of a frame.
type keyRows struct {
	columns []keyColumn
	hash    []uint64
	none    []bool // rows that match nothing: a key is missing; nil where none is
}

// alone reports whether the hash of a key is as good as the key: one word, which
// it is a permutation of.
func alone(matches []match) bool {
	return len(matches) == 1 && matches[0] != matchText
}

// keysOf prepares the key columns of n rows.
func keysOf(columns []arrow.Array, matches []match, seed maphash.Seed, n int) *keyRows {
	k := &keyRows{columns: make([]keyColumn, len(columns)), hash: make([]uint64, n)}
	for i, a := range columns {
		k.markNulls(a)
		switch matches[i] {
		case matchNone:
			k.markAll(n)
			return k
		case matchText:
			k.columns[i].text = textOf(a)
			k.hashText(&k.columns[i].text, a, seed, i)
		default:
			k.columns[i].words = k.wordsOf(a, matches[i])
			for row, w := range k.columns[i].words {
				k.hash[row] = mix(w ^ k.hash[row]*odd)
			}
		}
	}
	return k
}

// odd spreads the hash of the columns before, so that (a, b) and (b, a) differ.
const odd = 0x9e3779b97f4a7c15

// mix is a permutation of words (the finalizer of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	x ^= x >> 33
	return x
}

func (k *keyRows) markNulls(a arrow.Array) {
	if a.NullN() == 0 {
		return
	}
	if k.none == nil {
		k.none = make([]bool, a.Len())
	}
	for i := range k.none {
		if a.IsNull(i) {
			k.none[i] = true
		}
	}
}

func (k *keyRows) markAll(n int) {
	k.none = make([]bool, n)
	for i := range k.none {
		k.none[i] = true
	}
}

// hashText hashes a column of text; of a factor each level once.
func (k *keyRows) hashText(t *textColumn, a arrow.Array, seed maphash.Seed, column int) {
	each := func(i int) uint64 { return maphash.Bytes(seed, t.data[t.ends[i]:t.ends[i+1]]) }
	if t.codes == nil || len(t.ends)-1 > len(t.codes) {
		for row := range k.hash {
			if k.none != nil && k.none[row] {
				continue
			}
			i := row
			if t.codes != nil {
				i = int(t.codes[row])
			}
			k.join(row, each(i), column)
		}
		return
	}
	levels := make([]uint64, max(0, len(t.ends)-1)) // none where all rows are missing
	for i := range levels {
		levels[i] = each(i)
	}
	for row, code := range t.codes {
		if k.none == nil || !k.none[row] {
			k.join(row, levels[code], column)
		}
	}
}

func (k *keyRows) join(row int, h uint64, column int) {
	if column > 0 {
		h = mix(h ^ k.hash[row]*odd)
	}
	k.hash[row] = h
}

// textOf looks at the text of a string, factor or binary column.
func textOf(a arrow.Array) textColumn {
	var t textColumn
	if d, ok := a.(*array.Dictionary); ok {
		t.codes = d.Indices().(*array.Int32).Int32Values()
		if t.codes == nil {
			t.codes = []int32{}
		}
		a = d.Dictionary()
	}
	switch a := a.(type) {
	case *array.String:
		t.ends = a.ValueOffsets()
	case *array.Binary:
		t.ends = a.ValueOffsets()
	}
	if b := a.Data().Buffers()[2]; b != nil {
		t.data = b.Bytes()
	}
	return t
}

// wordsOf turns values into words that are equal where the values are.
func (k *keyRows) wordsOf(a arrow.Array, how match) []uint64 {
	out := make([]uint64, a.Len())
	switch a := a.(type) {
	case *array.Boolean:
		for i := range out {
			if a.Value(i) {
				out[i] = 1
			}
		}
	case *array.Int32:
		for i, v := range a.Int32Values() {
			out[i] = uint64(int64(v))
		}
	case *array.Date32:
		for i, v := range a.Date32Values() {
			out[i] = uint64(int64(v))
		}
	case *array.Int64:
		for i, v := range a.Int64Values() {
			out[i] = uint64(v)
		}
	case *array.Timestamp:
		for i, v := range a.TimestampValues() {
			out[i] = uint64(v)
		}
	case *array.Float64:
		if how == matchMixed {
			k.wholeOnly(a.Float64Values(), out)
			break
		}
		for i, v := range a.Float64Values() {
			switch {
			case v == 0:
				v = 0 // of both signs
			case v != v:
				v = math.NaN() // of all payloads
			}
			out[i] = math.Float64bits(v)
		}
	}
	return out
}

// wholeOnly turns doubles into the integers that they are exactly. The others
// match none.
func (k *keyRows) wholeOnly(values []float64, out []uint64) {
	for i, v := range values {
		if v >= -1<<63 && v < 1<<63 && v == math.Trunc(v) {
			out[i] = uint64(int64(v))
			continue
		}
		if k.none == nil {
			k.none = make([]bool, len(values))
		}
		k.none[i] = true
	}
}
