package frame

import (
	"math"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/rdata"
)

// column makes a frame of one column, x, of a type as YAML has it; nil is null.
func column(t testing.TB, typ string, values ...any) Frame {
	t.Helper()
	f, err := ParseType(typ)
	if err != nil {
		t.Fatal(err)
	}
	f.Name = "x"
	b := NewBuilder(arrow.NewSchema([]arrow.Field{f}, nil))
	for _, v := range values {
		put(b.Column(0), v)
	}
	fr, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	return fr
}

func put(c *Column, v any) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case bool:
		c.AppendBool(v)
	case int:
		if c.kind == KindInt32 || c.kind == KindDate {
			c.AppendInt32(int32(v))
		} else {
			c.AppendInt64(int64(v))
		}
	case float64:
		c.AppendDouble(v)
	case string:
		c.AppendString(v)
	case []byte:
		c.AppendBytes(v)
	case []any:
		for _, e := range v {
			put(c.Child(), e)
		}
		c.AppendList()
	}
}

// with is f with metadata for its only column.
func with(f Frame, key, value string) Frame {
	field := f.Schema().Field(0)
	m := field.Metadata.ToMap()
	m[key] = value
	field.Metadata = arrow.MetadataFrom(m)
	return New(arrow.NewSchema([]arrow.Field{field}, nil), f.Columns(), int(f.NumRows()))
}

// TestTypeTable sends a column of each type to R, where the check must be TRUE,
// and expects it back unchanged.
func TestTypeTable(t *testing.T) {
	var o ROptions
	f := func(in Frame, check string) {
		t.Helper()
		item, err := AppendR(nil, in, o)
		if err != nil {
			t.Error(err)
			return
		}
		v, err := rdata.UnmarshalItem(evalR(t, `if (isTRUE({`+check+`})) TRUE else paste(c(capture.output(str(df)), deparse(df)), collapse = "\n")`, item), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := v.(*rdata.Logical); !ok {
			t.Errorf("R has not %s but\n%s", check, strings.Join(v.(*rdata.Character).Strings(), "\n"))
			return
		}
		out, err := FromR(evalR(t, "df", item))
		if err != nil {
			t.Error(err)
			return
		}
		out = Restore(out, in.Schema())
		if d := Diff(in, out); d != "" {
			t.Errorf("%s: came back: %s", check, d)
		}
		// A slice of the same memory must encode as a frame of its own does.
		if n := int(in.NumRows()); n > 2 {
			s := Slice(in, 1, n-1)
			item, err := AppendR(nil, s, o)
			if err != nil {
				t.Error(err)
				return
			}
			out, err := FromR(evalR(t, "df", item))
			if err != nil {
				t.Error(err)
				return
			}
			if d := Diff(s, Restore(out, s.Schema())); d != "" {
				t.Errorf("%s: slice came back: %s", check, d)
			}
		}
	}
	f(column(t, "bool", true, nil, false, true), `identical(df$x, c(TRUE, NA, FALSE, TRUE))`)
	f(column(t, "bool", nil, nil), `identical(df$x, c(NA, NA))`)
	f(column(t, "int32", 1, nil, math.MaxInt32, -math.MaxInt32), `identical(df$x, c(1L, NA, .Machine$integer.max, -.Machine$integer.max))`)
	f(column(t, "double", 1.5, nil, math.NaN(), math.Inf(1), math.Inf(-1), 5e-324, math.Copysign(0, -1)),
		`identical(df$x, c(1.5, NA, NaN, Inf, -Inf, 4.940656458412465e-324, -0)) && identical(is.nan(df$x), (1:7) == 3) && identical(1/df$x[7], -Inf)`)
	f(column(t, "int64", 1, nil, 1<<53, -1<<53), `identical(df$x, c(1, NA, 2^53, -2^53))`)
	f(column(t, "string", "a", nil, "", "ž€𝄞", "NA"), `identical(df$x, c("a", NA, "", "\u017e\u20ac\U1D11E", "NA"))`)
	f(column(t, "json", `{"a":1}`, nil, `[]`), `identical(df$x, c('{"a":1}', NA, "[]"))`)
	f(column(t, "factor", "b", nil, "a", "b", "ž"), `identical(df$x, factor(c("b", NA, "a", "b", "\u017e"), levels = c("b", "a", "\u017e")))`)
	f(column(t, "ordered", "low", "high", nil, "low"), `identical(df$x, factor(c("low", "high", NA, "low"), levels = c("low", "high"), ordered = TRUE))`)
	f(column(t, "date", 0, nil, 19782, -1), `identical(df$x, as.Date(c("1970-01-01", NA, "2024-02-29", "1969-12-31")))`)
	f(column(t, "timestamp[Europe/Berlin]", 0, nil, 1709201472_123457, -1),
		`identical(attributes(df$x), list(class = c("POSIXct", "POSIXt"), tzone = "Europe/Berlin")) && identical(as.numeric(df$x), c(0, NA, 1709201472.123457, -0.000001))`)
	f(with(column(t, "timestamp[UTC]", 0, nil, 1), MetaTimezone, ""), `identical(df$x, structure(c(0, NA, 1e-6), class = c("POSIXct", "POSIXt"), tzone = "")) && identical(df$x[1], as.POSIXct("1970-01-01"))`)
	f(column(t, "timestamp", 0, nil, 1_000_000), `identical(df$x, as.POSIXct(c(0, NA, 1), origin = "1970-01-01", tz = "UTC"))`)
	f(column(t, "difftime[mins]", 1.5, nil, 2.0), `identical(df$x, as.difftime(c(1.5, NA, 2), units = "mins"))`)
	f(column(t, "hms", 1.5, nil, 2.0), `inherits(df$x, c("hms", "difftime"), which = TRUE)[1] == 1 && identical(units(df$x), "secs")`)
	f(column(t, "binary", []byte{0, 1, 255}, nil, []byte{}), `identical(df$x, list(as.raw(c(0, 1, 255)), NULL, raw(0)))`)
	f(column(t, "list<double>", []any{1.5, nil, math.NaN()}, nil, []any{}, []any{2.0}), `identical(df$x, list(c(1.5, NA, NaN), NULL, numeric(0), 2))`)
	f(column(t, "list<int32>", []any{1, nil}, nil, []any{}), `identical(df$x, list(c(1L, NA), NULL, integer(0)))`)
	f(column(t, "list<bool>", []any{true, nil}, nil, []any{false}), `identical(df$x, list(c(TRUE, NA), NULL, FALSE))`)
	f(column(t, "list<string>", []any{"a", nil, ""}, nil, []any{}), `identical(df$x, list(c("a", NA, ""), NULL, character(0)))`)
	f(column(t, "list<date>", []any{0, nil}, nil, []any{}), `identical(df$x, list(as.Date(c("1970-01-01", NA)), NULL, structure(numeric(0), class = "Date")))`)
	f(column(t, "list<timestamp[UTC]>", []any{0, nil}, nil, []any{}), `identical(df$x[[1]], .POSIXct(c(0, NA), tz = "UTC"))`)
	f(column(t, "list<int64>", []any{1, nil}, nil, []any{}), `identical(df$x, list(c(1, NA), NULL, numeric(0)))`)

	o.Int64 = Int64Bit64
	f(column(t, "int64", 1, nil, math.MaxInt64, -math.MaxInt64),
		`requireNamespace("bit64", quietly = TRUE) && identical(as.character(df$x), c("1", NA, "9223372036854775807", "-9223372036854775807"))`)
	f(column(t, "list<int64>", []any{1, nil}, nil, []any{}), `inherits(df$x[[1]], "integer64")`)
}
