package rvalue

import (
	"math"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

func TestDescribe(t *testing.T) {
	class := func(names ...string) rdata.Attribute {
		return rdata.Attribute{Name: "class", Value: rdata.NewCharacter(names)}
	}
	numbers := &rdata.Double{}
	for i := range 100 {
		numbers.Values = append(numbers.Values, float64(i)/2)
	}
	var wide *rdata.List
	{
		var names []string
		var columns []rdata.Value
		for i := range 30 {
			names = append(names, strings.Repeat("v", i+30))
			columns = append(columns, &rdata.Integer{Values: []int32{1, 2}})
		}
		wide = rdata.DataFrame(names, columns)
	}
	for _, c := range []struct {
		v    rdata.Value
		want string
	}{
		{rdata.Null{}, "NULL"},
		{numbers, "num [1:100] 0 0.5 1 1.5 2 …"},
		{&rdata.Double{}, "num(0)"},
		{&rdata.Double{Values: []float64{rdata.NAReal, math.Inf(1)}}, `num [1:2] NA "Inf"`},
		{&rdata.Integer{Values: []int32{1, 2, 3, 4}, Attrs: rdata.Attributes{{Name: "dim", Value: &rdata.Integer{Values: []int32{2, 2}}}}}, "int [1:2, 1:2] 1 2 3 4"},
		{rdata.NewCharacter([]string{"a\nb", strings.Repeat("é", 100)}), `chr [1:2] "a\nb" "` + strings.Repeat("é", 19) + "…"},
		{&rdata.Integer{Values: []int32{2, 1}, Attrs: rdata.Attributes{{Name: "levels", Value: rdata.NewCharacter([]string{"x", "y"})}, class("factor")}}, `Factor w/ 2 levels [1:2] "y" "x"`},
		{&rdata.Double{Values: []float64{19000}, Attrs: rdata.Attributes{class("Date")}}, `Date "2022-01-08"`},
		{&rdata.Raw{Values: []byte{1, 255}}, "raw [1:2] 01 ff"},
		{&rdata.List{Values: []rdata.Value{rdata.Null{}}, Attrs: rdata.Attributes{class("lm")}}, "List of 1 of class lm"},
		{wide, "'data.frame': 2 obs. of 30 variables: " + strings.Repeat("v", 30) + ", " + strings.Repeat("v", 31) + ", " + strings.Repeat("v", 32) + ", " + strings.Repeat("v", 33) + ", " + strings.Repeat("v", 34) + ", …"},
		{&rdata.Symbol{Name: "x"}, "symbol x"},
	} {
		if got := describe(c.v); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestCuttingWhatIsNone(t *testing.T) {
	number, err := encode(rdata.NewCharacter([]string{"x"}))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]struct {
		err  func() error
		want string
	}{
		"rows of a string": {func() error { _, _, err := Rows(number, 1<<20); return err }, `a data.frame was expected, not chr "x"`},
		"names of a join":  {func() error { _, err := Join([][]byte{number}, []string{}); return err }, "0 names for 1 elements"},
		"join of nonsense": {func() error { _, err := Join([][]byte{number, []byte("x")}, nil); return err }, "element 2"},
		"cut off":          {func() error { _, err := ToJSON(number[:20], nil); return err }, "unexpected end"},
		"gzip cut off":     {func() error { _, err := Normalize([]byte("\x1f\x8b\x08\x00")); return err }, "value of R: "},
		"empty":            {func() error { _, _, err := Split(nil, 1<<20); return err }, "value of R: "},
	} {
		if err := f.err(); err == nil || !strings.Contains(err.Error(), f.want) {
			t.Errorf("%s: %v, want …%s…", name, err, f.want)
		}
	}
}
