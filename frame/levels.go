package frame

import (
	"encoding/json"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// levels is a growing table of distinct strings. What array returned stays
// valid: later levels go behind it.
type levels struct {
	codes map[string]int32
	off   []int32
	data  []byte
}

func newLevels() *levels { return &levels{codes: map[string]int32{}, off: []int32{0}} }

// declaredLevels starts with those that a factor's field names (MetaLevels).
func declaredLevels(f arrow.Field) *levels {
	l := newLevels()
	var names []string
	if json.Unmarshal([]byte(meta(f, MetaLevels)), &names) == nil {
		for _, n := range names {
			l.code([]byte(n))
		}
	}
	return l
}

// code is the index of v, which is added where it is new.
func (l *levels) code(v []byte) int32 {
	k, ok := l.codes[string(v)]
	if !ok {
		k = int32(len(l.codes))
		l.codes[string(v)] = k
		l.data = append(l.data, v...)
		l.off = append(l.off, int32(len(l.data)))
	}
	return k
}

func (l *levels) array() arrow.Array {
	n := len(l.off) - 1
	return array.NewStringData(array.NewData(arrow.BinaryTypes.String, n,
		[]*memory.Buffer{nil, bytesOf(l.off), memory.NewBufferBytes(l.data)}, nil, 0, 0))
}
