package frame

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseText(t *testing.T) {
	// want is the value as AppendText has it; "" where the text is refused.
	f := func(typ, text, want string) {
		t.Helper()
		field, err := ParseType(typ)
		if err != nil {
			t.Fatal(err)
		}
		c := NewColumn(field, 1)
		if !c.ParseText([]byte(text)) {
			if want != "" {
				t.Errorf("%s %q is refused", typ, text)
			}
			if c.Len() != 0 {
				t.Errorf("%s %q left a value", typ, text)
			}
			return
		}
		a, err := c.Array()
		if err != nil {
			t.Fatal(err)
		}
		if got := string(AppendText(nil, a, 0, TextOptions{})); got != want {
			t.Errorf("%s %q is %q, want %q", typ, text, got, want)
		}
	}
	for _, s := range []string{"TRUE", "true", "True", "T"} {
		f("bool", s, "true")
	}
	f("bool", "F", "false")
	f("bool", "1", "")
	f("bool", "yes", "")
	f("int32", "0", "0")
	f("int32", "-2147483648", "-2147483648")
	f("int32", "2147483648", "")
	for _, s := range []string{"", "-", "007", "-0", "+1", "1.0", "1e3", "1,000", " 1", "0x10", "1_000"} {
		f("int64", s, "")
	}
	f("int64", "9223372036854775807", "9223372036854775807")
	f("int64", "-9223372036854775808", "-9223372036854775808")
	f("int64", "9223372036854775808", "")
	f("int64", "-9223372036854775809", "")
	f("double", "1.50", "1.5")
	f("double", "-0", "-0")
	f("double", ".5", "0.5")
	f("double", "5.", "5")
	f("double", "1e-7", "1e-7")
	f("double", "1E+21", "1e+21")
	f("double", "100000000000000000000", "100000000000000000000")
	f("double", "12345678901234567891", "") // an identifier, not a measure
	f("double", "0.12345678901234567891", "0.12345678901234568")
	f("double", "NaN", "NaN")
	f("double", "-Inf", "-Inf")
	f("double", "9007199254740993.0", "9007199254740992")
	for _, s := range []string{"", ".", "-", "e5", "1e", "1e+", "00.5", "007", "1e400", "0x1p3", "1_0.5", "inf", "nan", "1.2.3", "+1.5", "1.5 "} {
		f("double", s, "")
	}
	f("date", "2024-02-29", "2024-02-29")
	f("date", "0000-01-01", "0000-01-01")
	f("date", "+012024-02-29", "+012024-02-29")
	f("date", "-000001-12-31", "-000001-12-31")
	for _, s := range []string{"2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-01-00", "2024-1-1", "24-01-01", "2024-01-01 ", "2024/01/01", "+12024-01-01", "2024-01-0x"} {
		f("date", s, "")
	}
	f("timestamp", "2024-02-29 10:11:12", "2024-02-29T10:11:12")
	f("timestamp", "2024-02-29T10:11", "2024-02-29T10:11:00")
	f("timestamp", "2024-02-29", "2024-02-29T00:00:00")
	f("timestamp", "2024-02-29T23:59:59.9999996", "2024-03-01T00:00:00")
	f("timestamp", "1969-12-31T23:59:59.123", "1969-12-31T23:59:59.123")
	f("timestamp", "2024-02-29 10:11:12Z", "") // an instant
	f("timestamp[UTC]", "2024-02-29 10:11:12", "")
	f("timestamp[UTC]", "2024-02-29T10:11:12Z", "2024-02-29T10:11:12Z")
	f("timestamp[Europe/Berlin]", "2024-07-01T10:11:12-0130", "2024-07-01T13:41:12+02:00")
	f("timestamp[UTC]", "2024-02-29T10:11:12.5+01", "2024-02-29T09:11:12.5Z")
	f("timestamp[Europe/Berlin]", "1880-01-01T00:00:00Z", "1880-01-01T00:00:00Z") // an offset of 53 min 28 s
	for _, s := range []string{"2024-02-29T24:00:00Z", "2024-02-29T10:60:00Z", "2024-02-29T10:00:60Z", "2024-02-29T10Z", "2024-02-29T10:00:00+1", "2024-02-29T10:00:00+24:00", "2024-02-29T10:00:00.Z", "2024-02-29T", "+999999-01-01T00:00:00Z"} {
		f("timestamp[UTC]", s, "")
	}
	f("string", "é", "é")
	f("string", "\xff", "")
	f("json", `{"a":[]}`, `{"a":[]}`)
	f("json", `{a}`, "")
	f("binary", "AAE=", "AAE=")
	f("binary", "AAE", "")
	f("list<int32>", "[1]", "")
}

func TestInferrer(t *testing.T) {
	f := func(want string, samples ...string) {
		t.Helper()
		in := NewInferrer([]string{"x"}, InferOptions{})
		for _, s := range samples {
			if s == "NA" {
				in.Sample([][]byte{nil})
				continue
			}
			in.Sample([][]byte{[]byte(s)})
		}
		if got := TypeName(in.Schema().Field(0)); got != want {
			t.Errorf("%q: %s, want %s", samples, got, want)
		}
	}
	f("bool", "TRUE", "NA", "F")
	f("int32", "1", "-7", "NA")
	f("int64", "1", "2147483648")
	f("int64", "-2147483648") // NA in R, were it an integer
	f("double", "1", "2.5")
	f("double", "1", "NaN")
	f("date", "2024-02-29", "NA")
	f("timestamp", "2024-02-29 10:00", "2024-02-29")
	f("timestamp[UTC]", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00+01:00")
	f("string", "2024-02-29T10:00:00Z", "2024-02-29T10:00:00")
	f("string", "007", "1")
	f("string", "T", "1")
	f("string", "12345678901234567891", "1")
	f("string", "1", "")
	f("string", "NA", "NA")
	f("string")
}

func TestBuilderRefusesRaggedColumns(t *testing.T) {
	b := NewBuilder(schemaOf(t, "int32", "double"))
	b.Column(0).AppendInt32(1)
	if _, err := b.Frame(); err == nil || err.Error() != `build frame: column "y" has 0 values, column "x" has 1` {
		t.Error(err)
	}
	b = NewBuilder(schemaOf(t, "int32"))
	b.Column(0).AppendDouble(1)
	if _, err := b.Frame(); err == nil || err.Error() != `build frame: column "x": values of another kind were appended` {
		t.Error(err)
	}
}

// FuzzParse holds the parsers of numbers and times to the standard library.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-1", "1.5", "1e10", "123456789012345678901", "NaN", "2024-02-29", "2024-02-29T10:11:12.123456Z",
		"2024-02-29 10:11:12+01:00", "T", "007", "-0.000", "1e-400", "0.1234567890123456789"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := ParseInt([]byte(s)); ok {
			if w, err := strconv.ParseInt(s, 10, 64); err != nil || v != w {
				t.Errorf("int %q is %d, want %d (%v)", s, v, w, err)
			}
		}
		if v, ok := ParseDouble([]byte(s)); ok {
			w, err := strconv.ParseFloat(s, 64)
			if err != nil || math.Float64bits(v) != math.Float64bits(w) && v == v {
				t.Errorf("double %q is %v, want %v (%v)", s, v, w, err)
			}
			if b, isInt := new(big.Int).SetString(s, 10); isInt && b.String() == s {
				if exact, _ := new(big.Float).SetInt(b).Float64(); exact != v {
					t.Errorf("integer %q became %v", s, v)
				}
			}
		}
		if us, zone, ok := parseTime([]byte(s)); ok && zone && len(s) > 19 && s[4] == '-' {
			layout := "2006-01-02T15:04:05Z07:00"
			r := strings.Replace(s, " ", "T", 1)
			w, err := time.Parse(layout, r)
			if err == nil && w.Round(time.Microsecond).UnixMicro() != us && w.Truncate(time.Microsecond).UnixMicro() != us {
				t.Errorf("time %q is %d, want %d", s, us, w.UnixMicro())
			}
		}
		if d, n, ok := parseDate([]byte(s)); ok && n == len(s) {
			if got := string(appendDate(nil, int64(d))); got != s && s[0] != '+' && s[0] != '-' {
				t.Errorf("date %q is %s", s, got)
			}
		}
	})
}

func TestCivil(t *testing.T) {
	for d := int64(-800000); d < 800000; d += 37 {
		w := time.Unix(d*secondsPerDay, 0).UTC()
		y, m, day := civil(d)
		if int(y) != w.Year() || m != int(w.Month()) || day != w.Day() || daysOf(y, m, day) != d {
			t.Fatalf("day %d is %d-%d-%d, want %v", d, y, m, day, w)
		}
	}
}
