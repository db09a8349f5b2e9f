package rvalue

import (
	"math"
	"strconv"

	"github.com/rpipe-dev/rpipe/rdata"
)

// specials are strings that stand for numbers in an array without other strings, since
// JSON has no other way to write them.
var specials = map[string]node{
	"NA":   {},
	"NaN":  {kind: nodeDouble, num: math.NaN()},
	"Inf":  {kind: nodeDouble, num: math.Inf(1)},
	"-Inf": {kind: nodeDouble, num: math.Inf(-1)},
}

// vector is what an array of scalars becomes.
func vector(elems []node) rdata.Value {
	kind, text := nodeLogical, false
	for i := range elems {
		kind = max(kind, elems[i].kind)
		if elems[i].kind == nodeString && !text {
			_, special := specials[elems[i].str]
			text = !special
		}
	}
	if kind == nodeString && !text {
		kind = nodeLogical
		numbers := make([]node, len(elems))
		for i, e := range elems {
			if e.kind == nodeString {
				e = specials[e.str]
			}
			numbers[i] = e
			kind = max(kind, e.kind)
		}
		elems = numbers
	}
	return fill(elems, kind)
}

// fill is the vector of a kind with these elements, which are not more general.
func fill(elems []node, kind nodeKind) rdata.Value {
	switch kind {
	case nodeDouble:
		v := &rdata.Double{Values: make([]float64, len(elems))}
		for i := range elems {
			v.Values[i] = elems[i].num
			if elems[i].kind == nodeNull {
				v.Values[i] = rdata.NAReal
			}
		}
		return v
	case nodeString:
		v := rdata.NewCharacter(nil)
		v.Offsets = make([]int64, 1, len(elems)+1)
		for i := range elems {
			if elems[i].kind == nodeNull {
				v.AppendNA()
				continue
			}
			v.Append(elems[i].text())
		}
		return v
	}
	values := make([]int32, len(elems))
	for i := range elems {
		values[i] = int32(elems[i].num)
		if elems[i].kind == nodeNull {
			values[i] = rdata.NAInteger
		}
	}
	if kind == nodeInteger {
		return &rdata.Integer{Values: values}
	}
	return &rdata.Logical{Values: values}
}

// text is as.character() of a scalar.
func (n *node) text() string {
	switch n.kind {
	case nodeLogical:
		if n.num != 0 {
			return "TRUE"
		}
		return "FALSE"
	case nodeInteger:
		return strconv.FormatInt(int64(n.num), 10)
	case nodeDouble:
		return string(rdata.AppendNumber(nil, n.num))
	}
	return n.str
}
