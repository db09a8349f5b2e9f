package sources

import (
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/frame"
)

// arrayBuffers collects the values of one array in the memory that the array
// will have. Of the value slices one is used, whichever fits the type.
type arrayBuffers struct {
	n, nulls int
	room     int
	valid    []byte // bitmap; nil while nothing is missing

	bools   []bool
	ints    []int32 // also days, and codes of a factor
	longs   []int64 // also microseconds
	doubles []float64
	offsets []int32 // of text and binary: the ends, after a leading 0
	bytes   []byte
	checked bool // bytes are known to be UTF-8
}

func (o *arrayBuffers) reset(room int) {
	text := len(o.bytes)
	*o = arrayBuffers{room: room}
	if text > 0 {
		o.bytes = make([]byte, 0, text+text/8)
	}
}

// spread moves the last dense values to the slots where def says that there is
// one, and marks the others as missing.
func (o *arrayBuffers) spread(def []byte, maxDef byte, k, dense int) {
	start := o.n
	o.n += k
	if dense == k {
		if o.valid != nil {
			o.growValid()
		}
		return
	}
	o.nulls += k - dense
	if o.valid == nil {
		o.valid = make([]byte, 0, (max(o.room, o.n)+7)/8)
	}
	o.growValid()
	for i, d := range def {
		if d != maxDef {
			o.valid[(start+i)>>3] &^= 1 << ((start + i) & 7)
		}
	}
	o.bools = spreadOut(o.bools, def, maxDef, dense)
	o.ints = spreadOut(o.ints, def, maxDef, dense)
	o.longs = spreadOut(o.longs, def, maxDef, dense)
	o.doubles = spreadOut(o.doubles, def, maxDef, dense)
	if len(o.offsets) > 0 {
		o.spreadOffsets(def, maxDef, dense)
	}
}

// growValid makes the bitmap as long as there are slots, new ones being valid.
func (o *arrayBuffers) growValid() {
	for len(o.valid) < (o.n+7)/8 {
		o.valid = append(o.valid, 0xff)
	}
}

// spreadOut moves values from the back, so that none is overwritten.
func spreadOut[T any](v []T, def []byte, maxDef byte, dense int) []T {
	if v == nil {
		return nil
	}
	first := len(v) - dense
	for range len(def) - dense {
		var zero T
		v = append(v, zero)
	}
	var zero T
	from := first + dense - 1
	for i := len(def) - 1; i >= 0; i-- {
		if def[i] == maxDef {
			v[first+i] = v[from]
			from--
		} else {
			v[first+i] = zero
		}
	}
	return v
}

// spreadOffsets gives missing texts the length 0.
func (o *arrayBuffers) spreadOffsets(def []byte, maxDef byte, dense int) {
	first := len(o.offsets) - dense
	for range len(def) - dense {
		o.offsets = append(o.offsets, 0)
	}
	end := len(o.bytes)
	from := first + dense - 1
	for i := len(def) - 1; i >= 0; i-- {
		o.offsets[first+i] = int32(end)
		if def[i] == maxDef {
			from--
			end = int(o.offsets[from]) // where the value before it ends
		}
	}
}

// array hands the buffers over.
func (o *arrayBuffers) array(f arrow.Field, levels *levelTable) (arrow.Array, error) {
	var values []*memory.Buffer
	switch frame.KindOf(f) {
	case frame.KindBool:
		values = []*memory.Buffer{memory.NewBufferBytes(packed(o.bools))}
	case frame.KindInt32, frame.KindDate, frame.KindFactor:
		values = []*memory.Buffer{memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(o.ints))}
	case frame.KindInt64, frame.KindTimestamp, frame.KindDatetime:
		values = []*memory.Buffer{memory.NewBufferBytes(arrow.Int64Traits.CastToBytes(o.longs))}
	case frame.KindDouble, frame.KindDifftime:
		values = []*memory.Buffer{memory.NewBufferBytes(arrow.Float64Traits.CastToBytes(o.doubles))}
	default:
		if len(o.bytes) > math.MaxInt32 {
			return nil, fmt.Errorf("more than 2 GiB of text in %d rows", o.n)
		}
		if len(o.offsets) == 0 {
			o.offsets = make([]int32, o.n+1)
		}
		if kind := frame.KindOf(f); (kind == frame.KindString || kind == frame.KindJSON) && !o.checked && !validText(o.bytes, o.offsets) {
			return nil, errNotText
		}
		values = []*memory.Buffer{memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(o.offsets)), memory.NewBufferBytes(o.bytes)}
	}
	buffers := append([]*memory.Buffer{bitmap(o.valid)}, values...)
	if levels != nil {
		data := array.NewDataWithDictionary(f.Type, o.n, buffers, o.nulls, 0, levels.array().Data().(*array.Data))
		return array.NewDictionaryData(data), nil
	}
	return array.MakeFromData(array.NewData(f.Type, o.n, buffers, nil, o.nulls, 0)), nil
}

// validText reports whether each of the texts is UTF-8: the whole is, and none
// begins inside of a character.
func validText[T int32 | uint32](bytes []byte, offsets []T) bool {
	if !utf8.Valid(bytes) {
		return false
	}
	for _, at := range offsets {
		if int(at) < len(bytes) && !utf8.RuneStart(bytes[at]) {
			return false
		}
	}
	return true
}

func bitmap(valid []byte) *memory.Buffer {
	if valid == nil {
		return nil
	}
	return memory.NewBufferBytes(valid)
}

// clearBit marks slot i of n as missing in a bitmap that is nil at first.
func clearBit(valid []byte, i, n int) []byte {
	if valid == nil {
		valid = make([]byte, (n+7)/8)
		for k := range valid {
			valid[k] = 0xff
		}
	}
	valid[i>>3] &^= 1 << (i & 7)
	return valid
}

func packed(v []bool) []byte {
	b := make([]byte, (len(v)+7)/8)
	for i, x := range v {
		if x {
			b[i>>3] |= 1 << (i & 7)
		}
	}
	return b
}

// levelTable is the levels of a factor column: those that the file declares, in
// their order, then others as they come.
type levelTable struct {
	codes  map[string]int32
	names  []string
	codeOf []int32 // of each value of the page dictionary
	made   arrow.Array
}

func newLevelTable(f arrow.Field) *levelTable {
	t := &levelTable{codes: map[string]int32{}}
	if v, ok := f.Metadata.GetValue(frame.MetaLevels); ok {
		var names []string
		if json.Unmarshal([]byte(v), &names) == nil {
			for _, name := range names {
				t.code([]byte(name))
			}
		}
	}
	return t
}

func (t *levelTable) code(name []byte) int32 {
	k, ok := t.codes[string(name)]
	if !ok {
		k = int32(len(t.names))
		t.names = append(t.names, string(name))
		t.codes[string(name)] = k
		t.made = nil
	}
	return k
}

// translate finds the codes of a page dictionary's values.
func (t *levelTable) translate(dict *pageValues) {
	t.codeOf = t.codeOf[:0]
	for i := range len(dict.offsets) - 1 {
		t.codeOf = append(t.codeOf, t.code(dict.bytes[dict.offsets[i]:dict.offsets[i+1]]))
	}
}

func (t *levelTable) array() arrow.Array {
	if t.made == nil {
		b := array.NewStringBuilder(frame.Allocator)
		b.AppendValues(t.names, nil)
		t.made = b.NewArray()
	}
	return t.made
}
