package rvalue

import (
	"math"
	"strconv"

	"github.com/rpipe-dev/rpipe/rdata"
)

// scalars returns what writes element i of an atomic vector, by its class.
func (w *writer) scalars(v rdata.Value) func(i int) {
	switch v := v.(type) {
	case *rdata.Logical:
		return func(i int) { w.logical(v.Values[i]) }
	case *rdata.Integer:
		if levels, ok := v.Attrs.Get("levels").(*rdata.Character); ok && rdata.Inherits(v, "factor") {
			return func(i int) {
				code := int(v.Values[i])
				if code < 1 || code > levels.Len() || levels.IsNA(code-1) {
					w.null()
					return
				}
				w.character(levels, code-1)
			}
		}
		number := func(x int32) float64 {
			if x == rdata.NAInteger {
				return rdata.NAReal
			}
			return float64(x)
		}
		if moment := momentOf(v); moment != nil {
			return func(i int) { w.moment(moment, number(v.Values[i])) }
		}
		return func(i int) {
			if v.Values[i] == rdata.NAInteger {
				w.null()
				return
			}
			w.b = strconv.AppendInt(w.b, int64(v.Values[i]), 10)
		}
	case *rdata.Double:
		if rdata.Inherits(v, "integer64") {
			return func(i int) {
				x := int64(math.Float64bits(v.Values[i]))
				if x == rdata.NAInteger64 {
					w.null()
					return
				}
				w.b = strconv.AppendInt(w.b, x, 10)
			}
		}
		if moment := momentOf(v); moment != nil {
			return func(i int) { w.moment(moment, v.Values[i]) }
		}
		return func(i int) { w.double(v.Values[i]) }
	case *rdata.Complex:
		return func(i int) { w.complex(v.Values[i]) }
	case *rdata.Character:
		return func(i int) {
			if v.IsNA(i) {
				w.null()
				return
			}
			w.character(v, i)
		}
	}
	return func(int) { w.null() }
}

func (w *writer) character(v *rdata.Character, i int) {
	s, _ := v.At(i)
	w.text(s)
}

func (w *writer) logical(x int32) {
	switch x {
	case 0:
		w.b = append(w.b, "false"...)
	case rdata.NAInteger:
		w.null()
	default:
		w.b = append(w.b, "true"...)
	}
}

// double writes the shortest number that is read back as the same.
func (w *writer) double(x float64) {
	switch {
	case rdata.IsNA(x):
		w.null()
	case math.IsNaN(x):
		w.b = append(w.b, `"NaN"`...)
	case math.IsInf(x, 1):
		w.b = append(w.b, `"Inf"`...)
	case math.IsInf(x, -1):
		w.b = append(w.b, `"-Inf"`...)
	case math.Abs(x) >= 1e15 || x != 0 && math.Abs(x) < 1e-5:
		w.b = strconv.AppendFloat(w.b, x, 'e', -1, 64)
	default:
		w.b = strconv.AppendFloat(w.b, x, 'f', -1, 64)
	}
}

// complex writes as.character() of x.
func (w *writer) complex(x complex128) {
	re, im := real(x), imag(x)
	if rdata.IsNA(re) || rdata.IsNA(im) {
		w.null()
		return
	}
	b := rdata.AppendNumber([]byte{'"'}, re)
	if im >= 0 || math.IsNaN(im) {
		b = append(b, '+')
	}
	b = rdata.AppendNumber(b, im)
	w.b = append(append(w.b, b...), 'i', '"')
}
