package rdata

import (
	"math"
	"strings"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// Generated values are such that R can make the same by rsource: no attribute is
// NULL, no pairlist empty, and special attributes fit their vector.

func genText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := rapid.OneOf(
			rapid.StringN(0, 8, -1),
			rapid.StringMatching(`[a-z]{0,40}`),
			rapid.SampledFrom([]string{"", "NA", "é", "日本語", "😀", "a\tb\n", `"quoted\"`, strings.Repeat("x", 70)}),
		).Draw(t, "text")
		return strings.Map(func(r rune) rune {
			if r == 0 || !utf8.ValidRune(r) {
				return -1
			}
			return r
		}, s)
	})
}

func genName() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"x", "y", "weight", "long name", "größe", "if", "a.b"})
}

func genInt32() *rapid.Generator[int32] {
	return rapid.OneOf(rapid.Just(NAInteger), rapid.Just(int32(math.MaxInt32)), rapid.Int32Min(math.MinInt32+1))
}

func genFloat64() *rapid.Generator[float64] {
	return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{
		NAReal, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.MaxFloat64, 0.1,
	}))
}

func genComplex128() *rapid.Generator[complex128] {
	return rapid.Custom(func(t *rapid.T) complex128 {
		return complex(rapid.Float64().Draw(t, "re"), rapid.Float64().Draw(t, "im"))
	})
}

func genCharacter() *rapid.Generator[*Character] {
	return rapid.Custom(func(t *rapid.T) *Character {
		c := &Character{}
		for range rapid.IntRange(0, 12).Draw(t, "n") {
			if rapid.IntRange(0, 4).Draw(t, "na") == 0 {
				c.AppendNA()
			} else {
				c.Append(genText().Draw(t, "s"))
			}
		}
		return c
	})
}

func genSlice[T any](t *rapid.T, g *rapid.Generator[T]) []T {
	return rapid.SliceOfN(g, 0, 20).Draw(t, "values")
}

// genAttrs draws attributes for a vector of length n.
func genAttrs(t *rapid.T, n, depth int) Attributes {
	var as Attributes
	if rapid.IntRange(0, 3).Draw(t, "named") == 0 {
		names := &Character{}
		for range n {
			names.Append(genText().Draw(t, "name"))
		}
		if n > 0 {
			as = append(as, Attribute{"names", names})
		}
	}
	if depth > 0 && rapid.IntRange(0, 3).Draw(t, "attrs") == 0 {
		for _, name := range rapid.SliceOfNDistinct(genName(), 1, 3, rapid.ID).Draw(t, "attr") {
			v := genValue(depth-1).Filter(func(v Value) bool { return v != Value(Null{}) }).Draw(t, name)
			as = append(as, Attribute{name, v})
		}
	}
	if rapid.IntRange(0, 5).Draw(t, "class") == 0 {
		as = append(as, Attribute{"class", NewCharacter([]string{"thing", "été"})})
	}
	return as
}

func genValue(depth int) *rapid.Generator[Value] {
	return rapid.Custom(func(t *rapid.T) Value {
		kinds := 9
		if depth > 0 {
			kinds = 13
		}
		switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
		case 0:
			return Null{}
		case 1:
			v := genSlice(t, rapid.SampledFrom([]int32{0, 1, NAInteger}))
			return &Logical{v, genAttrs(t, len(v), depth)}
		case 2:
			v := genSlice(t, genInt32())
			return &Integer{v, genAttrs(t, len(v), depth)}
		case 3:
			v := genSlice(t, genFloat64())
			return &Double{v, genAttrs(t, len(v), depth)}
		case 4:
			v := genSlice(t, genComplex128())
			return &Complex{v, genAttrs(t, len(v), depth)}
		case 5:
			v := genSlice(t, rapid.Byte())
			return &Raw{v, genAttrs(t, len(v), depth)}
		case 6:
			c := genCharacter().Draw(t, "strings")
			c.Attrs = genAttrs(t, c.Len(), depth)
			return c
		case 7:
			return &Symbol{genName().Draw(t, "symbol")}
		case 8:
			return genFactor(t)
		case 9, 10:
			v := rapid.SliceOfN(genValue(depth-1), 0, 5).Draw(t, "list")
			return &List{Values: v, Attrs: genAttrs(t, len(v), depth)}
		case 11:
			v := rapid.SliceOfN(genValue(depth-1), 0, 4).Draw(t, "expression")
			return &List{Values: v, Expression: true}
		default:
			p := &Pairlist{}
			for range rapid.IntRange(1, 4).Draw(t, "cells") {
				c := Cell{Value: genValue(depth-1).Draw(t, "cell")}
				if rapid.Bool().Draw(t, "tagged") {
					c.Tag = genName().Draw(t, "tag")
				}
				p.Cells = append(p.Cells, c)
			}
			return p
		}
	})
}

func genFactor(t *rapid.T) Value {
	levels := []string{"low", "mid", "höch"}
	v := genSlice(t, rapid.SampledFrom([]int32{1, 2, 3, NAInteger}))
	return &Integer{v, Attributes{
		{"levels", NewCharacter(levels)},
		{"class", NewCharacter([]string{"factor"})},
	}}
}
