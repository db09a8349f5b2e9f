package sources

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"github.com/rpipe-dev/rpipe/frame"
)

// leaf says how one column of a file becomes a column of frames.
type leaf struct {
	field  arrow.Field
	column int // number of the leaf column in the file
	kind   parquet.Kind
	how    conversion
	scale  float64 // toDecimal divides by it; toSeconds too
	unit   int64   // toMicros: nanoseconds of a unit

	maxDef byte // definition level of a value that is there
	list   bool // a list of values
	some   byte // list: the definition level from which on the list has elements
	there  byte // list: the definition level from which on the list is not missing
}

// conversion says what is done to each value.
type conversion uint8

const (
	asIs      conversion = iota
	widen                // to double or int64
	unsigned             // 32 bits without sign, to int64
	bigCount             // 64 bits without sign, to double
	toMicros             // times of another unit
	toDecimal            // integers or big-endian bytes, divided by a power of ten
	toSeconds            // time of day
	fromInt96            // Impala's and Spark's old timestamps
	fromHalf             // 16-bit floats
	nothing              // a column without a type: every value is missing
	fromUUID             // to text
	asStrings            // UTF-8 is checked
)

// leafOf maps a column of the file's top level:
//
//	BOOLEAN bool; INT8..INT32, UINT8, UINT16 int32; UINT32, INT64 int64
//	FLOAT, DOUBLE, FLOAT16, DECIMAL, UINT64 double (an R number has 15 digits)
//	STRING, ENUM, UUID string; JSON json; other bytes binary
//	DATE date; TIME hms; TIMESTAMP, INT96 timestamp[UTC] or, not adjusted, timestamp
//	LIST of these, and legacy repeated columns: list<...>
//
// Nanoseconds are cut to microseconds. Maps, structs and lists of these are refused.
func leafOf(c *parquet.Column) (leaf, error) {
	if c.Leaf() {
		l, err := scalarOf(c)
		if err != nil {
			return l, err
		}
		if c.Repeated() {
			l.list, l.some, l.there = true, l.maxDef, 0
			l.field = arrow.Field{Type: frame.ListType(l.field)}
		}
		l.field.Name, l.field.Nullable = c.Name(), true
		return l, nil
	}
	if !isList(c) || len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
		return leaf{}, errors.New("nested columns are not read, other than lists of plain values")
	}
	repeated := c.Columns()[0]
	element := repeated // two levels, as old writers did
	if !repeated.Leaf() {
		if len(repeated.Columns()) != 1 {
			return leaf{}, errors.New("a list of structs is not read")
		}
		element = repeated.Columns()[0]
	}
	if !element.Leaf() {
		return leaf{}, errors.New("a list of lists or structs is not read")
	}
	l, err := scalarOf(element)
	if err != nil {
		return l, err
	}
	if l.how == nothing {
		return l, errors.New("a list without a type of its elements is not read")
	}
	l.list = true
	l.some = byte(repeated.MaxDefinitionLevel())
	if c.Optional() {
		l.there = byte(c.MaxDefinitionLevel())
	}
	f := arrow.Field{Name: c.Name(), Nullable: true, Type: frame.ListType(l.field)}
	if frame.KindOf(f) != frame.KindList {
		return l, fmt.Errorf("a list of %s is not read", frame.TypeName(l.field))
	}
	l.field = f
	return l, nil
}

func isList(c *parquet.Column) bool {
	if t := c.Type().LogicalType(); t != nil {
		_, ok := t.Value.(*format.ListType)
		return ok
	}
	t := c.Type().ConvertedType()
	return t != nil && *t == deprecated.List
}

// scalarOf maps a leaf column, apart from lists.
func scalarOf(c *parquet.Column) (leaf, error) {
	t := c.Type()
	l := leaf{column: c.Index(), kind: t.Kind(), maxDef: byte(c.MaxDefinitionLevel())}
	l.field = arrow.Field{Nullable: true}
	set := func(t arrow.DataType, how conversion) { l.field.Type, l.how = t, how }

	logical := t.LogicalType()
	if logical == nil {
		logical = fromConverted(t.ConvertedType(), c)
	}
	if logical != nil {
		switch v := logical.Value.(type) {
		case *format.DecimalType:
			set(arrow.PrimitiveTypes.Float64, toDecimal)
			l.scale = 1
			for range v.Scale {
				l.scale *= 10
			}
			return l, nil
		case *format.NullType:
			set(arrow.FixedWidthTypes.Boolean, nothing)
			l.field.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaUnknown: "1"})
			return l, nil
		case *format.DateType:
			set(arrow.FixedWidthTypes.Date32, asIs)
			return l, nil
		case *format.TimeType:
			hms, err := frame.ParseType("hms")
			if err != nil {
				return l, err
			}
			l.field, l.how, l.scale = hms, toSeconds, float64(1e9/nanosOf(v.Unit))
			return l, nil
		case *format.TimestampType:
			zone := ""
			if v.IsAdjustedToUTC {
				zone = "UTC"
			}
			set(&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: zone}, asIs)
			if l.unit = nanosOf(v.Unit); l.unit != 1000 {
				l.how = toMicros
			}
			return l, nil
		case *format.IntType:
			switch {
			case v.IsSigned || v.BitWidth < 32: // as the physical type
			case v.BitWidth == 32:
				set(arrow.PrimitiveTypes.Int64, unsigned)
				return l, nil
			default:
				set(arrow.PrimitiveTypes.Float64, bigCount)
				return l, nil
			}
		case *format.StringType, *format.EnumType:
			set(arrow.BinaryTypes.String, asStrings)
			return l, nil
		case *format.JsonType:
			set(arrow.BinaryTypes.String, asStrings)
			l.field.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaJSON: "1"})
			return l, nil
		case *format.UUIDType:
			set(arrow.BinaryTypes.String, fromUUID)
			return l, nil
		case *format.Float16Type:
			set(arrow.PrimitiveTypes.Float64, fromHalf)
			return l, nil
		case *format.VariantType:
			return l, errors.New("variants are not read")
		}
	}
	switch l.kind {
	case parquet.Boolean:
		set(arrow.FixedWidthTypes.Boolean, asIs)
	case parquet.Int32:
		set(arrow.PrimitiveTypes.Int32, asIs)
	case parquet.Int64:
		set(arrow.PrimitiveTypes.Int64, asIs)
	case parquet.Int96:
		set(&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, fromInt96)
	case parquet.Float:
		set(arrow.PrimitiveTypes.Float64, widen)
	case parquet.Double:
		set(arrow.PrimitiveTypes.Float64, asIs)
	case parquet.ByteArray, parquet.FixedLenByteArray:
		set(arrow.BinaryTypes.Binary, asIs)
	}
	return l, nil
}

// fromConverted gives the logical type that a legacy annotation stands for.
func fromConverted(t *deprecated.ConvertedType, c *parquet.Column) *format.LogicalType {
	if t == nil {
		return nil
	}
	var v format.LogicalTypeValue
	switch *t {
	case deprecated.UTF8:
		v = &format.StringType{}
	case deprecated.Enum:
		v = &format.EnumType{}
	case deprecated.Json:
		v = &format.JsonType{}
	case deprecated.Date:
		v = &format.DateType{}
	case deprecated.TimeMillis:
		v = &format.TimeType{Unit: parquet.Millisecond.TimeUnit()}
	case deprecated.TimeMicros:
		v = &format.TimeType{Unit: parquet.Microsecond.TimeUnit()}
	case deprecated.TimestampMillis:
		v = &format.TimestampType{IsAdjustedToUTC: true, Unit: parquet.Millisecond.TimeUnit()}
	case deprecated.TimestampMicros:
		v = &format.TimestampType{IsAdjustedToUTC: true, Unit: parquet.Microsecond.TimeUnit()}
	case deprecated.Uint32:
		v = &format.IntType{BitWidth: 32}
	case deprecated.Uint64:
		v = &format.IntType{BitWidth: 64}
	default:
		return nil
	}
	return &format.LogicalType{Value: v}
}

func nanosOf(u format.TimeUnit) int64 {
	switch u.Value.(type) {
	case *format.MilliSeconds:
		return 1_000_000
	case *format.NanoSeconds:
		return 1
	}
	return 1000
}

// description is what the Parquet sink keeps of a column in the file's metadata.
type description struct {
	Name string            `json:"name"`
	Type string            `json:"type"` // as frame.TypeName has it
	Meta map[string]string `json:"meta"` // of the field
}

// metadataKey is where the sink writes {"columns": [description, ...]}.
const metadataKey = "rpipe.schema"

// described gives the descriptions in a file that the sink wrote.
func (p *parquetFile) described() map[string]description {
	text, ok := p.Lookup(metadataKey)
	if !ok {
		return nil
	}
	var m struct {
		Columns []description `json:"columns"`
	}
	if json.Unmarshal([]byte(text), &m) != nil {
		return nil // another program's: the Parquet types stand
	}
	byName := map[string]description{}
	for _, c := range m.Columns {
		byName[c.Name] = c
	}
	return byName
}

// restore gives the field the type that its column had when it was written,
// where the file's own type can carry that.
func (l *leaf) restore(d description) {
	was, err := frame.ParseType(d.Type)
	if err != nil {
		return
	}
	is := frame.KindOf(l.field)
	switch kind := frame.KindOf(was); {
	case l.how != asIs && l.how != asStrings:
		return
	case kind == is && (kind != frame.KindList || arrow.TypeEqual(was.Type, l.field.Type) || sameStorage(was, l.field)):
	case is == frame.KindString && (kind == frame.KindFactor || kind == frame.KindJSON):
	case is == frame.KindDouble && kind == frame.KindDifftime:
	default:
		return
	}
	l.field.Type = was.Type
	meta := was.Metadata.ToMap()
	for k, v := range d.Meta {
		meta[k] = v
	}
	l.field.Metadata = arrow.MetadataFrom(meta)
}

// sameStorage says that lists differ in what R makes of their elements alone.
func sameStorage(a, b arrow.Field) bool {
	x, y := a.Type.(*arrow.ListType).Elem(), b.Type.(*arrow.ListType).Elem()
	return x.ID() == y.ID()
}
