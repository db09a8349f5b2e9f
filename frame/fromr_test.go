package frame

import (
	"fmt"
	"math"
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

// show is a frame on one line: "name type: values; …".
func show(f Frame) string {
	var cols []string
	for i := range int(f.NumCols()) {
		field := f.Schema().Field(i)
		typ := TypeName(field)
		if isUnknown(field) {
			typ = "unknown"
		}
		if d, ok := f.Column(i).(*array.Dictionary); ok {
			typ += d.Dictionary().String()
		}
		s := field.Name + " " + typ + ":"
		for k := range int(f.NumRows()) {
			s += " " + string(AppendText(nil, f.Column(i), k, TextOptions{Null: "NA"}))
		}
		cols = append(cols, s)
	}
	return strings.Join(cols, "; ")
}

// TestFromR reads what R makes: every trap between its data frames and ours.
func TestFromR(t *testing.T) {
	f := func(code, want string) {
		t.Helper()
		fr, err := FromR(evalR(t, code, nil))
		var got string
		if err != nil {
			got = strings.TrimPrefix(err.Error(), "decode from R: ")
		} else {
			got = show(fr)
		}
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", code, got, want)
		}
	}
	df := func(x, want string) {
		t.Helper()
		f("local({ df <- data.frame(i = 1:3)[0]; x <- "+x+"; df <- structure(list(x = x), class = 'data.frame', row.names = c(NA, -NROW(x))); df })", want)
	}
	// NA has its payload in the low word only; arithmetic changes the high one.
	df(`c(NA_real_, NA + 0, -NA_real_, NaN, 0/0, 1)`, "x double: NA NA NA NaN NaN 1")
	df(`c(TRUE, NA)`, "x bool: true NA")
	df(`c(NA, NA)`, "x unknown: NA NA")
	df(`logical(0)`, "x unknown:")
	df(`c(NA, 1L)`, "x int32: NA 1")
	df(`c("a", NA, "", "\u017e", enc2native("\u00e9"))`, "x string: a NA  ž é")
	df(`{ x <- "\xe9"; Encoding(x) <- "latin1"; x }`, "x string: é")
	df(`c(a = 1, b = 2)`, "x double: 1 2")
	df(`structure(1:2, class = "myclass")`, "x int32: 1 2")
	df(`tapply(1:3, c("a", "b", "b"), sum)`, "x int32: 1 5")
	// factors
	df(`factor(c("b", NA, "a"))`, `x factor["a" "b"]: b NA a`)
	df(`addNA(factor(c("b", NA, "a")))`, `x factor["a" "b"]: b NA a`)
	df(`factor(c("c", NA, "a"), levels = c("a", NA, "c"), exclude = NULL)`, `x factor["a" "c"]: c NA a`)
	df(`factor(character(0), levels = "z")`, `x factor["z"]:`)
	df(`factor("lo", levels = c("lo", "hi"), ordered = TRUE)`, `x ordered["lo" "hi"]: lo`)
	df(`structure(c(1L, 3L), levels = "a", class = "factor")`, `column "x", row 2: code 3 of a factor with 1 levels`)
	// dates and times
	df(`as.Date(c("2024-02-29", NA))`, "x date: 2024-02-29 NA")
	df(`structure(c(19782L, NA), class = "Date")`, "x date: 2024-02-29 NA")
	df(`structure(c(-0.5, 0.9, NaN), class = "Date")`, "x date: 1969-12-31 1970-01-01 NA")
	df(`structure(19782L, class = c("IDate", "Date"))`, "x date: 2024-02-29")
	df(`as.Date(Inf, origin = "1970-01-01")`, `column "x", row 1: a date that is infinite or too far away; make it NA`)
	df(`as.POSIXct("2024-02-29 10:00:00.123457", tz = "Europe/Berlin")`, "x timestamp[Europe/Berlin]: 2024-02-29T10:00:00.123457+01:00")
	df(`as.POSIXct("2024-02-29 10:00:00")`, "x timestamp[UTC]: 2024-02-29T10:00:00Z")
	df(`{ x <- as.POSIXct(0.000001, origin = "1970-01-01"); attr(x, "tzone") <- NULL; x }`, "x timestamp[UTC]: 1970-01-01T00:00:00.000001Z")
	df(`as.POSIXct(as.POSIXlt(0, origin = "1970-01-01", tz = "Europe/Berlin"))`, "x timestamp[Europe/Berlin]: 1970-01-01T01:00:00+01:00")
	df(`structure(1L, class = c("POSIXct", "POSIXt"), tzone = "UTC")`, "x timestamp[UTC]: 1970-01-01T00:00:01Z")
	df(`.POSIXct(c(Inf, 1), "UTC")`, `column "x", row 1: a time that is infinite or too far away; make it NA`)
	df(`as.difftime(c(90, NA), units = "mins")`, "x difftime[mins]: 90 NA")
	df(`structure(5L, units = "weeks", class = "difftime")`, "x difftime[weeks]: 5")
	df(`structure(5, units = "secs", class = c("hms", "difftime"))`, "x hms: 5")
	df(`structure(5, units = "years", class = "difftime")`, `column "x": a difftime in "years"; use secs, mins, hours, days or weeks`)
	df(`bit64::as.integer64(c("9223372036854775807", NA))`, "x int64: 9223372036854775807 NA")
	// lists
	df(`list(as.raw(1:2), NULL, raw(0))`, "x binary: AQI= NA ")
	df(`list(1:2, NULL, integer(0), NA_integer_)`, "x list<int32>: [1,2] NA [] [null]")
	df(`list(1L, 2.5, NA)`, "x list<double>: [1] [2.5] [null]")
	df(`list(TRUE, NA, logical(0))`, "x list<bool>: [true] [null] []")
	df(`list(c("a", NA), character(0))`, `x list<string>: ["a",null] []`)
	df(`list(factor("a"), factor("b"))`, `x list<string>: ["a"] ["b"]`)
	df(`list(as.Date("2024-02-29"), NULL)`, `x list<date>: ["2024-02-29"] NA`)
	df(`list(NULL, NULL)`, "x unknown: NA NA")
	df(`I(list(1, 2))`, "x list<double>: [1] [2]")
	df(`list(1, "a")`, `column "x", row 2: a vector of type character in a list of double; give all elements one type, or make them text, such as sapply(x, jsonlite::toJSON)`)
	df(`list(list(1), 2)`, `column "x", row 1: a list in a list of vectors; give all elements one type, or make them text, such as sapply(x, jsonlite::toJSON)`)
	df(`list(as.raw(1), 2)`, `column "x", row 2: a vector of type double in a list of raw; give all elements one type, or make them text, such as sapply(x, jsonlite::toJSON)`)
	df(`list(mean)`, `column "x", row 1: a function in a list of vectors; give all elements one type, or make them text, such as sapply(x, jsonlite::toJSON)`)
	// what has no counterpart
	df(`complex(real = 1, imaginary = 2)`, `column "x": complex numbers are not supported; split them into Re(x) and Im(x)`)
	df(`as.raw(1:2)`, `column "x": a raw vector is not supported; convert it with as.integer(), or to a list of raw vectors, one a row`)
	df(`matrix(1:4, 2)`, `column "x": a 2 x 2 matrix of integer cannot be a column; split it into one column for each of its columns, such as cbind(df, as.data.frame(m))`)
	df(`array(0, c(2, 2, 2))`, `column "x": a 2 x 2 x 2 array of double cannot be a column; split it into one column for each of its columns, such as cbind(df, as.data.frame(m))`)
	df(`as.POSIXlt(0, origin = "1970-01-01", tz = "UTC")`, `column "x": POSIXlt is not supported; convert it with as.POSIXct()`)
	df(`data.frame(a = 1)`, `column "x": a data frame within a data frame is not supported; put its columns beside the others, such as cbind(df, df$inner)`)
	df(`expression(a)`, `column "x": an R object of type expression cannot be a column; drop it or convert it`)
	// data frames
	f(`data.frame(a = 1:3, b = c("x", "y", "z"))[c(1, 3), ]`, "a int32: 1 3; b string: x z")
	f(`data.frame(a = 1:2, row.names = c("r1", "r2"))`, "a int32: 1 2")
	f(`data.frame()`, "")
	f(`data.frame(a = integer(0), b = character(0))`, "a int32:; b string:")
	f(`tibble::tibble(a = 1:2, b = list(1, 2))`, "a int32: 1 2; b list<double>: [1] [2]")
	f(`data.table::data.table(a = 1:2, b = c("x", NA))`, "a int32: 1 2; b string: x NA")
	f(`structure(list(1, 2), names = c("a", "a"), class = "data.frame", row.names = 1L)`, `more than one column is called "a"; rename them`)
	f(`structure(list(1), names = "", class = "data.frame", row.names = 1L)`, `column 1 has no name; give it one`)
	f(`structure(list(1), names = NA_character_, class = "data.frame", row.names = 1L)`, `column 1 has no name; give it one`)
	f(`structure(list(a = 1:2, b = 1:3), class = "data.frame", row.names = c(NA, -2L))`, `column "b": 3 values in a data frame of 2 rows`)
	f(`list(a = 1)`, `a list is not a data frame; return one, such as as.data.frame(x)`)
	f(`1:3`, `a vector of type integer is not a data frame; return one, such as as.data.frame(x)`)
	f(`NULL`, `NULL is not a data frame; return one, such as as.data.frame(x)`)
	f(`mean`, `a function is not a data frame; return one, such as as.data.frame(x)`)
	f(`matrix(1:4, 2)`, `a 2 x 2 matrix of integer is not a data frame; return one, such as as.data.frame(x)`)
	f(`lm(dist ~ speed, cars)`, `an object of class lm is not a data frame; return one, such as as.data.frame(x)`)
	f(`mtcars[1:2, 1:2]`, "mpg double: 21 21; cyl double: 6 6")
}

func TestFromRKeepsRows(t *testing.T) {
	fr, err := FromR(evalR(t, `data.frame(i = 1:3)[, 0]`, nil))
	if err != nil {
		t.Fatal(err)
	}
	if fr.NumCols() != 0 || fr.NumRows() != 3 {
		t.Errorf("%d columns, %d rows", fr.NumCols(), fr.NumRows())
	}
	item, err := AppendR([]byte("prefix"), fr, ROptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := string(evalR(t, `if (!identical(dim(df), c(3L, 0L))) stop(dim(df))`, item[len("prefix"):])); s == "" {
		t.Error("no answer")
	}
}

func TestAppendRRefuses(t *testing.T) {
	f := func(in Frame, o ROptions, want string) {
		t.Helper()
		dst := []byte("kept")
		out, err := AppendR(dst, in, o)
		if err == nil || err.Error() != "encode for R: "+want {
			t.Errorf("got %v\nwant encode for R: %s", err, want)
		}
		if string(out) != "kept" {
			t.Errorf("dst became %q", out)
		}
		// A missing value is no error, whatever lies under it.
		if n := int(in.NumRows()); n > 1 {
			if _, err := AppendR(nil, Slice(in, 0, 1), o); err != nil {
				t.Errorf("the good row: %v", err)
			}
		}
	}
	f(column(t, "int32", 1, math.MinInt32), ROptions{}, `column "x", row 2: -2147483648 cannot be an R integer, where it means NA; make the column int64 or double`)
	f(column(t, "int64", nil, 1<<53+1), ROptions{}, `column "x", row 2: 9007199254740993 is beyond 2^53, which a double does not hold exactly; set int64: integer64 (needs the R package bit64), or make it a string`)
	f(column(t, "int64", nil, math.MinInt64), ROptions{Int64: Int64Bit64}, `column "x", row 2: -9223372036854775808 cannot be an integer64, where it means NA; make it a string`)
	f(column(t, "string", "a", "b\x00c"), ROptions{}, `column "x", row 2: embedded NUL, which R strings cannot hold; remove it, or make the column binary`)
	f(column(t, "string", "a", "\xff"), ROptions{}, `column "x", row 2: not valid UTF-8; make it valid UTF-8`)
	f(column(t, "factor", "\x00"), ROptions{}, `column "x": embedded NUL, which R strings cannot hold; remove it, or make the column binary`)
	f(column(t, "timestamp", 0, 64060588800_000001), ROptions{}, `column "x", row 2: 4000-01-01T00:00:00.000001 is so far away that R cannot tell its microseconds; round it to seconds`)
	f(column(t, "list<int64>", []any{1}, []any{2, 1<<53 + 1}), ROptions{}, `column "x", row 2: 9007199254740993 is beyond 2^53, which a double does not hold exactly; set int64: integer64 (needs the R package bit64), or make it a string`)
	f(fromJSON(t, arrow.PrimitiveTypes.Int16, `[1]`), ROptions{}, `column "x": R has no counterpart of int16; convert it to int32, int64, double or string in a stage before, or drop it`)
	x := column(t, "int32", 1)
	twice := New(arrow.NewSchema([]arrow.Field{x.Schema().Field(0), x.Schema().Field(0)}, nil), []arrow.Array{x.Column(0), x.Column(0)}, 1)
	f(twice, ROptions{}, `more than one column is called "x"; rename them`)
}

// The far end of time is exact as long as it is whole seconds.
func TestFarTimes(t *testing.T) {
	in := column(t, "timestamp[UTC]", 253402300799_000000, -62135596800_000000, 8589934591_999999, -8589934591_999999)
	item, err := AppendR(nil, in, ROptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := FromR(item)
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(in, out); d != "" {
		t.Error(d)
	}
}

func ExampleFormatSchema() {
	var fields []arrow.Field
	for _, c := range []string{"id int64", "when timestamp[UTC]", "group factor", "embedding list<double>"} {
		name, typ, _ := strings.Cut(c, " ")
		f, err := ParseType(typ)
		if err != nil {
			panic(err)
		}
		f.Name = name
		fields = append(fields, f)
	}
	fmt.Print(FormatSchema(arrow.NewSchema(fields, nil)))
	// Output:
	// id        int64
	// when      timestamp[UTC]
	// group     factor
	// embedding list<double>
}
