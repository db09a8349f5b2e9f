package rdata

import (
	"math"
	"slices"
	"testing"
)

func TestIsNA(t *testing.T) {
	f := func(bits uint64, want bool) {
		t.Helper()
		if got := IsNA(math.Float64frombits(bits)); got != want {
			t.Errorf("%x: %v", bits, got)
		}
	}
	f(math.Float64bits(NAReal), true)
	f(0x7FF8_0000_0000_07A2, true) // NA + 0
	f(0xFFF0_0000_0000_07A2, true) // -NA
	f(math.Float64bits(math.NaN()), false)
	f(0x7FF0_0000_0000_0000, false) // Inf
	f(0x4000_0000_0000_07A2, false) // a number
}

func TestCharacter(t *testing.T) {
	c := &Character{}
	if c.Len() != 0 || len(c.Strings()) != 0 {
		t.Errorf("the zero value has length %d", c.Len())
	}
	for i := range 130 {
		if i%65 == 1 {
			c.AppendNA()
		} else {
			c.Append("é")
		}
	}
	for i := range 130 {
		s, ok := c.At(i)
		if na := i%65 == 1; ok == na || c.IsNA(i) != na || ok && s != "é" {
			t.Errorf("element %d: %q, %v", i, s, ok)
		}
	}
	if got := NewCharacter(nil); got.Len() != 0 || KindOf(got) != KindCharacter {
		t.Errorf("%v", got)
	}
}

func TestClassAndRows(t *testing.T) {
	df := DataFrame([]string{"x"}, []Value{&Double{Values: []float64{1, 2, 3}}})
	if n, ok := Rows(df); n != 3 || !ok {
		t.Errorf("%d rows, %v", n, ok)
	}
	df.Attrs[2].Value = NewCharacter([]string{"r1", "r2"})
	if n, _ := Rows(df); n != 2 {
		t.Errorf("%d rows with names", n)
	}
	df.Attrs[2].Value = &Integer{Values: []int32{NAInteger, 4}}
	if n, _ := Rows(df); n != 4 {
		t.Errorf("%d rows with a positive count", n)
	}
	if _, ok := Rows(&List{}); ok {
		t.Error("a list is not a data.frame")
	}
	if n, ok := Rows(DataFrame(nil, nil)); n != 0 || !ok {
		t.Errorf("%d rows without columns", n)
	}
	if !Inherits(df, "data.frame") || Inherits(df, "tbl") || Inherits(Null{}, "tbl") || Class(nil) != nil {
		t.Error("classes are wrong")
	}
}

func TestKinds(t *testing.T) {
	values := []Value{nil, Null{}, &Symbol{}, &Pairlist{}, &Logical{}, &Integer{}, &Double{}, &Complex{}, &Character{}, &List{}, &List{Expression: true}, &Raw{}, &Opaque{Kind: KindClosure}, &Opaque{Kind: 200}}
	var got []string
	for _, v := range values {
		got = append(got, KindOf(v).String())
	}
	want := []string{"NULL", "NULL", "symbol", "pairlist", "logical", "integer", "double", "complex", "character", "list", "expression", "raw", "closure", "type 200"}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}
