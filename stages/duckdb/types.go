//go:build cgo

package duckdb

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	b "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
)

// inType is the DuckDB type that a frame's column has in a query. A list's is
// that of its elements, with list set.
func inType(f arrow.Field) (t b.Type, list, ok bool) {
	switch frame.KindOf(f) {
	case frame.KindBool:
		return b.TypeBoolean, false, true
	case frame.KindInt32:
		return b.TypeInteger, false, true
	case frame.KindInt64:
		return b.TypeBigInt, false, true
	case frame.KindDouble, frame.KindDifftime:
		return b.TypeDouble, false, true
	case frame.KindString, frame.KindJSON, frame.KindFactor:
		return b.TypeVarchar, false, true
	case frame.KindDate:
		return b.TypeDate, false, true
	case frame.KindTimestamp:
		return b.TypeTimestampTZ, false, true
	case frame.KindDatetime:
		return b.TypeTimestamp, false, true
	case frame.KindBinary:
		return b.TypeBlob, false, true
	case frame.KindList:
		t, _, ok := inType(f.Type.(*arrow.ListType).ElemField())
		return t, true, ok
	}
	return 0, false, false
}

// outType says how a result column of type t becomes one of a frame: the field
// it gets, and the SQL type to cast it to first ("" for none, "json" for
// to_json).
func outType(t b.LogicalType) (f arrow.Field, cast string, err error) {
	f.Nullable = true
	switch id := b.GetTypeId(t); id {
	case b.TypeBoolean:
		f.Type = arrow.FixedWidthTypes.Boolean
	case b.TypeSQLNull:
		f.Type, cast = arrow.FixedWidthTypes.Boolean, "BOOLEAN"
	case b.TypeInteger:
		f.Type = arrow.PrimitiveTypes.Int32
	case b.TypeTinyInt, b.TypeSmallInt, b.TypeUTinyInt, b.TypeUSmallInt:
		f.Type, cast = arrow.PrimitiveTypes.Int32, "INTEGER"
	case b.TypeBigInt:
		f.Type = arrow.PrimitiveTypes.Int64
	case b.TypeUInteger, b.TypeHugeInt:
		f.Type, cast = arrow.PrimitiveTypes.Int64, "BIGINT"
	case b.TypeDouble:
		f.Type = arrow.PrimitiveTypes.Float64
	case b.TypeFloat, b.TypeDecimal, b.TypeUBigInt, b.TypeUHugeInt, b.TypeBigNum:
		f.Type, cast = arrow.PrimitiveTypes.Float64, "DOUBLE"
	case b.TypeVarchar:
		f.Type = arrow.BinaryTypes.String
		if b.LogicalTypeGetAlias(t) == "JSON" {
			f.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaJSON: "1"})
		}
	case b.TypeEnum, b.TypeUUID, b.TypeBit:
		f.Type, cast = arrow.BinaryTypes.String, "VARCHAR"
	case b.TypeBlob:
		f.Type = arrow.BinaryTypes.Binary
	case b.TypeDate:
		f.Type = arrow.FixedWidthTypes.Date32
	case b.TypeTimestampTZ:
		f.Type = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}
	case b.TypeTimestamp:
		f.Type = &arrow.TimestampType{Unit: arrow.Microsecond}
	case b.TypeTimestampS, b.TypeTimestampMS, b.TypeTimestampNS:
		f.Type, cast = &arrow.TimestampType{Unit: arrow.Microsecond}, "TIMESTAMP"
	case b.TypeTime, b.TypeTimeNS:
		f.Type, cast = arrow.PrimitiveTypes.Float64, "time"
		f.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaR: "hms", frame.MetaUnits: "secs"})
	case b.TypeList, b.TypeArray:
		return outList(t, id)
	case b.TypeStruct, b.TypeMap, b.TypeUnion:
		return jsonField(), "json", nil
	case b.TypeInterval:
		return f, "", fmt.Errorf("an INTERVAL cannot leave SQL: use date_diff('minute', a, b) for a number, or epoch(x) for seconds")
	default:
		return f, "", fmt.Errorf("a value of DuckDB type %d cannot leave SQL: cast it to one that can, such as VARCHAR", id)
	}
	return f, cast, nil
}

func outList(t b.LogicalType, id b.Type) (f arrow.Field, cast string, err error) {
	child := listChild(t, id)
	defer b.DestroyLogicalType(&child)
	elem, cast, err := outType(child)
	if err != nil {
		return f, "", err
	}
	f = arrow.Field{Type: frame.ListType(elem), Nullable: true}
	if frame.KindOf(f) != frame.KindList || cast == "json" || cast == "time" {
		return jsonField(), "json", nil
	}
	switch {
	case cast != "":
		return f, cast + "[]", nil
	case id == b.TypeArray:
		return f, sqlName[b.GetTypeId(child)] + "[]", nil
	}
	return f, "", nil
}

func listChild(t b.LogicalType, id b.Type) b.LogicalType {
	if id == b.TypeArray {
		return b.ArrayTypeChildType(t)
	}
	return b.ListTypeChildType(t)
}

// sqlName has the types that need no cast.
var sqlName = map[b.Type]string{
	b.TypeBoolean: "BOOLEAN", b.TypeInteger: "INTEGER", b.TypeBigInt: "BIGINT", b.TypeDouble: "DOUBLE",
	b.TypeVarchar: "VARCHAR", b.TypeBlob: "BLOB", b.TypeDate: "DATE",
	b.TypeTimestamp: "TIMESTAMP", b.TypeTimestampTZ: "TIMESTAMPTZ",
}

func jsonField() arrow.Field {
	return arrow.Field{Type: arrow.BinaryTypes.String, Nullable: true,
		Metadata: arrow.MetadataFrom(map[string]string{frame.MetaJSON: "1"})}
}

// castSQL casts a column of the wrapped query.
func castSQL(column, cast string) string {
	switch cast {
	case "":
		return column
	case "json":
		return "CAST(to_json(" + column + ") AS VARCHAR)"
	case "time":
		return "epoch(" + column + ")"
	}
	return "CAST(" + column + " AS " + cast + ")"
}
