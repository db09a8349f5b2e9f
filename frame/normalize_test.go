package frame

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// fromJSON makes a one-column batch, x, of any Arrow type.
func fromJSON(t *testing.T, typ arrow.DataType, values string) Frame {
	t.Helper()
	a, _, err := array.FromJSON(Allocator, typ, strings.NewReader(values))
	if err != nil {
		t.Fatal(err)
	}
	return New(arrow.NewSchema([]arrow.Field{{Name: "x", Type: typ, Nullable: true}}, nil), []arrow.Array{a}, a.Len())
}

func TestNormalize(t *testing.T) {
	// want is the type and the values joined by spaces, or the error.
	f := func(typ arrow.DataType, values, want string) {
		t.Helper()
		in := fromJSON(t, typ, values)
		for _, in := range []Frame{in, Slice(in, 0, int(in.NumRows()))} {
			out, err := Normalize(in)
			var got string
			if err != nil {
				got = err.Error()
			} else {
				got = TypeName(out.Schema().Field(0)) + ":"
				for i := range int(out.NumRows()) {
					got += " " + string(AppendText(nil, out.Column(0), i, TextOptions{Null: "NA"}))
				}
			}
			if got != want {
				t.Errorf("%v %s\n got %s\nwant %s", typ, values, got, want)
			}
		}
	}
	p := arrow.PrimitiveTypes
	f(p.Int8, `[-128, null, 127]`, "int32: -128 NA 127")
	f(p.Int16, `[-32768]`, "int32: -32768")
	f(p.Uint8, `[255]`, "int32: 255")
	f(p.Uint16, `[65535]`, "int32: 65535")
	f(p.Uint32, `[4294967295]`, "int64: 4294967295")
	f(p.Uint64, `[1, null]`, "int64: 1 NA")
	f(p.Uint64, `[1, 9223372036854775808]`, `convert to a frame: column "x", row 2: 9223372036854775808 is beyond int64; convert the column where it comes from`)
	f(p.Float32, `[1.5, null]`, "double: 1.5 NA")
	f(arrow.FixedWidthTypes.Float16, `[1.5]`, "double: 1.5")
	f(&arrow.Decimal128Type{Precision: 38, Scale: 0}, `["123", null]`, "int64: 123 NA")
	f(&arrow.Decimal128Type{Precision: 38, Scale: 0}, `["9223372036854775808"]`, `convert to a frame: column "x", row 1: 9223372036854775808 is beyond int64; convert the column where it comes from`)
	f(&arrow.Decimal128Type{Precision: 10, Scale: 2}, `["-1.25", "0.10"]`, "double: -1.25 0.1")
	f(&arrow.Decimal256Type{Precision: 40, Scale: 2}, `["1.25"]`, "double: 1.25")
	f(&arrow.Decimal64Type{Precision: 18, Scale: 1}, `["0.5"]`, "double: 0.5")
	f(&arrow.Decimal128Type{Precision: 38, Scale: 18}, `["1.234567890123456789"]`, `convert to a frame: column "x", row 1: 1.234567890123456789 has more digits than a double tells; convert the column where it comes from`)
	f(arrow.BinaryTypes.LargeString, `["a", null, ""]`, "string: a NA ")
	f(arrow.BinaryTypes.StringView, `["a longer text than twelve bytes"]`, "string: a longer text than twelve bytes")
	f(arrow.BinaryTypes.LargeBinary, `["AAE=", null]`, "binary: AAE= NA")
	f(&arrow.FixedSizeBinaryType{ByteWidth: 2}, `["AAE="]`, "binary: AAE=")
	f(arrow.FixedWidthTypes.Date64, `["2024-02-29", null]`, "date: 2024-02-29 NA")
	f(&arrow.TimestampType{Unit: arrow.Second, TimeZone: "UTC"}, `["2024-02-29T10:00:00Z"]`, "timestamp[UTC]: 2024-02-29T10:00:00Z")
	f(&arrow.TimestampType{Unit: arrow.Millisecond}, `["2024-02-29 10:00:00.5"]`, "timestamp: 2024-02-29T10:00:00.5")
	f(&arrow.TimestampType{Unit: arrow.Nanosecond}, `["2024-02-29 10:00:00.000001"]`, "timestamp: 2024-02-29T10:00:00.000001")
	f(&arrow.TimestampType{Unit: arrow.Nanosecond}, `["1969-12-31 23:59:59.999999"]`, "timestamp: 1969-12-31T23:59:59.999999")
	f(&arrow.TimestampType{Unit: arrow.Nanosecond}, `["2024-02-29 10:00:00.000000001"]`, `convert to a frame: column "x", row 1: 2024-02-29T10:00:00Z has 1 ns more than whole microseconds; convert the column where it comes from`)
	f(arrow.FixedWidthTypes.Time32ms, `["01:00:00.5"]`, "hms: 3600.5")
	f(arrow.FixedWidthTypes.Time64us, `["00:00:00.000001"]`, "hms: 0.000001")
	f(arrow.FixedWidthTypes.Duration_ms, `[1500, null]`, "difftime[secs]: 1.5 NA")
	f(arrow.Null, `[null, null]`, "bool: NA NA")
	f(&arrow.DictionaryType{IndexType: p.Int8, ValueType: arrow.BinaryTypes.String}, `["b", null, "a", "b"]`, "factor: b NA a b")
	f(&arrow.DictionaryType{IndexType: p.Int8, ValueType: p.Int64}, `[7, null, 8]`, "int64: 7 NA 8")
	f(arrow.ListOf(p.Int16), `[[1, null], null, []]`, "list<int32>: [1,null] NA []")
	f(arrow.LargeListOf(p.Float64), `[[1.5], null]`, "list<double>: [1.5] NA")
	f(arrow.FixedSizeListOf(2, p.Float32), `[[1, 2], null]`, "list<double>: [1,2] NA")
	f(arrow.ListOf(arrow.ListOf(p.Int32)), `[[[1], []], null]`, "json: [[1],[]] NA")
	f(arrow.StructOf(arrow.Field{Name: "a", Type: p.Int32, Nullable: true}), `[{"a": 1}, null]`, `json: {"a":1} NA`)
	f(arrow.MapOf(arrow.BinaryTypes.String, p.Int32), `[[{"key": "k", "value": 1}]]`, `json: [{"key":"k","value":1}]`)
	f(arrow.FixedWidthTypes.MonthInterval, `[{"months": 1}]`, `convert to a frame: column "x": month_interval is not supported; convert it where it comes from, or leave it out`)
}

func TestNormalizeLevels(t *testing.T) {
	levels, _, err := array.FromJSON(Allocator, arrow.BinaryTypes.String, strings.NewReader(`["a", null, "a", "b"]`))
	if err != nil {
		t.Fatal(err)
	}
	codes, _, err := array.FromJSON(Allocator, arrow.PrimitiveTypes.Int32, strings.NewReader(`[0, 1, 2, 3, null]`))
	if err != nil {
		t.Fatal(err)
	}
	d := array.NewDictionaryArray(FactorType(false), codes, levels)
	in := New(arrow.NewSchema([]arrow.Field{{Name: "x", Type: d.DataType(), Nullable: true}}, nil), []arrow.Array{d}, 5)
	out, err := Normalize(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := Diff(column(t, "factor", "a", nil, "a", "b", nil), out); diff != "" {
		t.Error(diff)
	}
	if n := out.Column(0).(*array.Dictionary).Dictionary().Len(); n != 2 {
		t.Errorf("%d levels", n)
	}
	same := column(t, "factor", "a", "b")
	if out, err := Normalize(same); err != nil || out != same {
		t.Errorf("a frame of the right types is not left as it is: %v", err)
	}
}
