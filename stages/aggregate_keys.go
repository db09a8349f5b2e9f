package stages

import (
	"encoding/json"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
)

// keyColumn is a column of the result that is a column of the input: it keeps
// what SQL does not know of it, its zone, its unit, its levels.
type keyColumn struct {
	from  int         // in the input
	field arrow.Field // in the result

	levels []string // of a factor, as far as they have been seen
	known  map[string]bool
	last   arrow.ArrayData // the levels that were looked at last
}

func newKeyColumn(in *frame.Schema, at int, name string) *keyColumn {
	k := &keyColumn{from: at, field: in.Field(at), known: map[string]bool{}}
	k.field.Name = name
	return k
}

// watch looks at the levels of a frame of the input.
func (k *keyColumn) watch(f frame.Frame) {
	if k == nil || frame.KindOf(k.field) != frame.KindFactor {
		return
	}
	d, ok := f.Column(k.from).(*array.Dictionary)
	if !ok || d.Dictionary().Data() == k.last {
		return
	}
	k.last = d.Dictionary().Data()
	levels := d.Dictionary().(*array.String)
	for i := range levels.Len() {
		if v := levels.Value(i); !k.known[v] {
			k.known[v] = true
			k.levels = append(k.levels, string([]byte(v)))
		}
	}
}

// restore gives a column the type that it has in the input.
func (k *keyColumn) restore(a arrow.Array, have arrow.Field) (arrow.Array, error) {
	if arrow.TypeEqual(have.Type, k.field.Type) {
		return a, nil
	}
	want := k.field
	if frame.KindOf(want) == frame.KindFactor {
		levels, err := json.Marshal(k.levels)
		if err != nil {
			return nil, err
		}
		want.Type = frame.FactorType(false) // of text no ordered one is made
		want.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaLevels: string(levels)})
	}
	have.Name = want.Name
	f := frame.New(arrow.NewSchema([]arrow.Field{have}, nil), []arrow.Array{a}, a.Len())
	f, err := frame.Conform(f, arrow.NewSchema([]arrow.Field{want}, nil))
	if err != nil {
		return nil, err
	}
	if d, ok := f.Column(0).(*array.Dictionary); ok {
		data := d.Data()
		return array.NewDictionaryData(array.NewDataWithDictionary(k.field.Type, data.Len(), data.Buffers(), d.NullN(), data.Offset(),
			d.Dictionary().Data().(*array.Data))), nil
	}
	return f.Column(0), nil
}
