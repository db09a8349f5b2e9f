package sinks

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/parquet-go/parquet-go"

	"github.com/rpipe-dev/rpipe/frame"
)

// MetadataKey is the key of a Parquet file's metadata under which the columns
// are described as rpipe and R know them. Its value is the JSON of
// ParquetMetadata.
const MetadataKey = "rpipe.schema"

// ParquetMetadata is what stands under MetadataKey.
type ParquetMetadata struct {
	Version int             `json:"version"` // 1
	Columns []ParquetColumn `json:"columns"` // in the file's order
}

// ParquetColumn describes one column: its type as frame.TypeName writes it and
// the metadata of its field (frame.MetaLevels, frame.MetaTimezone, …).
type ParquetColumn struct {
	Name string            `json:"name"`
	Type string            `json:"type"`
	Meta map[string]string `json:"meta,omitempty"`
}

// orderedGroup is a parquet.Group that keeps its fields in order. Group is a
// map and would sort the columns by name.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g *orderedGroup) Fields() []parquet.Field { return g.fields }

type orderedField struct {
	parquet.Node
	name string
}

func (f *orderedField) Name() string { return f.name }

// Value is what parquet.Field asks for; rows never come as Go maps here.
func (f *orderedField) Value(base reflect.Value) reflect.Value {
	return base.MapIndex(reflect.ValueOf(f.name))
}

// parquetSchema makes the file's schema. Strings are dictionary encoded but for
// the columns in plain.
func parquetSchema(s *frame.Schema, plain map[string]bool) (*parquet.Schema, error) {
	g := &orderedGroup{Group: parquet.Group{}}
	for _, f := range s.Fields() {
		n, err := parquetNode(f, plain[f.Name])
		if err != nil {
			return nil, err
		}
		g.Group[f.Name] = n
		g.fields = append(g.fields, &orderedField{Node: n, name: f.Name})
	}
	return parquet.NewSchema("schema", g), nil
}

// parquetNode is the type table of the project's design: every column is
// optional, since every column of R can have NA.
func parquetNode(f arrow.Field, plain bool) (parquet.Node, error) {
	if frame.KindOf(f) == frame.KindList {
		elem, err := parquetNode(f.Type.(*arrow.ListType).ElemField(), plain)
		if err != nil {
			return nil, err
		}
		return parquet.Optional(parquet.List(elem)), nil
	}
	n, err := parquetLeaf(f)
	if err != nil {
		return nil, err
	}
	switch kind := frame.KindOf(f); kind {
	case frame.KindString, frame.KindFactor, frame.KindJSON, frame.KindBinary:
		// PLAIN rather than the library's DELTA_LENGTH_BYTE_ARRAY, which readers
		// of before about 2023 do not know; compressed it is as small.
		n = parquet.Encoded(n, &parquet.Plain)
		if kind == frame.KindFactor || kind == frame.KindString && !plain {
			n = parquet.Encoded(n, &parquet.RLEDictionary)
		}
	}
	return parquet.Optional(n), nil
}

func parquetLeaf(f arrow.Field) (parquet.Node, error) {
	switch frame.KindOf(f) {
	case frame.KindBool:
		return parquet.Leaf(parquet.BooleanType), nil
	case frame.KindInt32:
		return parquet.Int(32), nil
	case frame.KindInt64:
		return parquet.Int(64), nil
	case frame.KindDouble, frame.KindDifftime:
		return parquet.Leaf(parquet.DoubleType), nil
	case frame.KindString, frame.KindFactor:
		return parquet.String(), nil
	case frame.KindJSON:
		return parquet.JSON(), nil
	case frame.KindDate:
		return parquet.Date(), nil
	case frame.KindTimestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, true), nil
	case frame.KindDatetime:
		return parquet.TimestampAdjusted(parquet.Microsecond, false), nil
	case frame.KindBinary:
		return parquet.Leaf(parquet.ByteArrayType), nil
	}
	return nil, fmt.Errorf("column %q has type %s, which is not written to Parquet: convert or drop it in a stage before", f.Name, frame.TypeName(f))
}

// parquetMetadata describes the columns for MetadataKey. Levels are those that
// the frames had, in order of their first appearance, where a field declares none.
func parquetMetadata(s *frame.Schema, levels []*levelSet) (string, error) {
	m := ParquetMetadata{Version: 1}
	for i, f := range s.Fields() {
		c := ParquetColumn{Name: f.Name, Type: frame.TypeName(f)}
		if f.Metadata.Len() > 0 {
			c.Meta = f.Metadata.ToMap()
		}
		if levels[i] != nil {
			if c.Meta == nil {
				c.Meta = map[string]string{}
			}
			b, err := json.Marshal(levels[i].names)
			if err != nil {
				return "", err
			}
			c.Meta[frame.MetaLevels] = string(b)
			if f.Type.(*arrow.DictionaryType).Ordered {
				c.Meta[frame.MetaOrdered] = "1"
			}
		}
		m.Columns = append(m.Columns, c)
	}
	b, err := json.Marshal(m)
	return string(b), err
}

// levelSet collects the levels of a factor over the frames of a file.
type levelSet struct {
	names []string
	known map[string]bool
	last  arrow.Array // the levels that were added last: most frames share theirs
}

// newLevelSet starts with the levels that the field declares.
func newLevelSet(f arrow.Field) *levelSet {
	l := &levelSet{names: []string{}, known: map[string]bool{}}
	if v, ok := f.Metadata.GetValue(frame.MetaLevels); ok {
		var declared []string
		if json.Unmarshal([]byte(v), &declared) == nil {
			for _, name := range declared {
				l.addName(name)
			}
		}
	}
	return l
}

func (l *levelSet) addName(name string) {
	if !l.known[name] {
		l.known[name] = true
		l.names = append(l.names, name)
	}
}

func (l *levelSet) add(levels arrow.Array) {
	s, ok := levels.(*array.String)
	if !ok || l.last != nil && (l.last == levels || sameStrings(l.last.(*array.String), s)) {
		return
	}
	l.last = levels
	for i := range s.Len() {
		if s.IsValid(i) {
			l.addName(string([]byte(s.Value(i)))) // not a view of the frame's memory
		}
	}
}

func sameStrings(a, b *array.String) bool {
	return a.Len() == b.Len() && a.NullN() == 0 && b.NullN() == 0 &&
		string(a.ValueBytes()) == string(b.ValueBytes()) && slices.Equal(a.ValueOffsets(), b.ValueOffsets())
}
