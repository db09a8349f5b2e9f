package rdata

import "math"

func chars(s ...string) *Character { return NewCharacter(s) }

func withNA(c *Character) *Character {
	c.AppendNA()
	return c
}

// inGo says what objects of testdata/catalogue.R are in Go, in whatever form
// they were written.
var inGo = map[string]Value{
	"null":      Null{},
	"logical":   &Logical{Values: []int32{1, 0, NAInteger}},
	"integer":   &Integer{Values: []int32{1, NAInteger, -math.MaxInt32}},
	"double":    &Double{Values: []float64{1.5, NAReal, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 5e-324}},
	"character": &Character{Offsets: []int64{0, 1, 1, 1, 10}, Data: []byte("aé日😀"), Missing: []uint64{2}},
	"latin1":    chars("café €"),
	"matrix": &Integer{Values: []int32{1, 2, 3, 4, 5, 6}, Attrs: Attributes{
		{"dim", &Integer{Values: []int32{2, 3}}},
		{"dimnames", &List{Values: []Value{chars("r1", "r2"), Null{}}}},
	}},
	"factor": &Integer{Values: []int32{2, 1, NAInteger, 2}, Attrs: Attributes{
		{"levels", chars("a", "b")}, {"class", chars("factor")},
	}},
	"date":         &Double{Values: []float64{19782, 19783, 19784, 19785}, Attrs: Attributes{{"class", chars("Date")}}},
	"date_integer": &Integer{Values: []int32{19000}, Attrs: Attributes{{"class", chars("Date")}}},
	"posixct_none": &Double{Values: []float64{1e9}, Attrs: Attributes{{"class", chars("POSIXct", "POSIXt")}}},
	"difftime": &Double{Values: []float64{1, 2.5}, Attrs: Attributes{
		{"class", chars("difftime")}, {"units", chars("mins")},
	}},
	"integer64": &Double{
		Values: []float64{int64bits(9007199254740993), int64bits(NAInteger64), int64bits(-1)},
		Attrs:  Attributes{{"class", chars("integer64")}},
	},
	"tibble": &List{
		Values: []Value{
			&Integer{Values: []int32{1, 2, 3}},
			chars("a", "b", "c"),
			&List{Values: []Value{&Double{Values: []float64{1}}, chars("x"), Null{}}},
		},
		Attrs: Attributes{
			{"class", chars("tbl_df", "tbl", "data.frame")},
			{"row.names", &Integer{Values: []int32{NAInteger, -3}}},
			{"names", chars("a", "b", "c")},
		},
	},
	"data_table": &List{ // without its external pointer
		Values: []Value{&Integer{Values: []int32{1, 2, 3}}, &Character{Offsets: []int64{0, 1, 1, 2}, Data: []byte("xz"), Missing: []uint64{2}}},
		Attrs: Attributes{
			{"names", chars("a", "b")},
			{"row.names", &Integer{Values: []int32{NAInteger, -3}}},
			{"class", chars("data.table", "data.frame")},
		},
	},
	"pairlist": &Pairlist{Cells: []Cell{{"a", &Double{Values: []float64{1}}}, {"", &Double{Values: []float64{2}}}, {"b", Null{}}}},
	"symbol":   &Symbol{Name: "a name"},

	"sequence":          &Integer{Values: []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
	"sequence_down":     &Integer{Values: []int32{10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3}},
	"sequence_real":     &Double{Values: []float64{1 << 31, 1<<31 + 1, 1<<31 + 2, 1<<31 + 3}},
	"sequence_named":    &Integer{Values: []int32{1, 2, 3}, Attrs: Attributes{{"class", chars("thing")}}},
	"deferred":          withNA(chars("1", "2", "3", "4", "5")),
	"deferred_sequence": chars("3", "2", "1"),
	"deferred_real": &Character{
		Offsets: []int64{0, 1, 4, 21, 26, 32, 37, 42, 47, 60, 69, 75, 78, 78, 81, 84, 88},
		Data:    []byte("10.10.3333333333333331e+051234561e-041e-051e+151099511627776-1.5e+3001e-300100NaNInf-Inf"),
		Missing: []uint64{1 << 12},
	},
	"sorted":      &Integer{Values: []int32{1, 2, 3}},
	"sorted_real": &Double{Values: []float64{1, 2, 3}},
	"sorted_text": chars("a", "b"),

	"wrapped_logical": &Logical{Values: []int32{0, 1}},
	"wrapped_complex": &Complex{Values: []complex128{1i, 2i}},
	"wrapped_raw":     &Raw{Values: []byte{1, 2}},
	"wrapped_factor": &Integer{Values: []int32{1, 2}, Attrs: Attributes{
		{"levels", chars("a", "b")}, {"class", chars("factor")},
	}},
}

func int64bits(x int64) float64 { return math.Float64frombits(uint64(x)) }
