package rvalue

import (
	"slices"

	"github.com/rpipe-dev/rpipe/rdata"
)

// simplify is jsonlite's function of this name: matrix says whether this node may become
// a matrix or array, deeper whether those in it may.
func (n *node) simplify(matrix, deeper bool) rdata.Value {
	if n.kind != nodeList || len(n.elems) == 0 {
		return n.value()
	}
	if n.records() {
		if f := dataFrame(n.elems, deeper); f != nil {
			return f
		}
	}
	if !n.object() && n.scalars() {
		return vector(n.elems)
	}
	out := make([]rdata.Value, len(n.elems))
	for i := range n.elems {
		out[i] = n.elems[i].simplify(deeper, deeper)
	}
	if !n.object() {
		if matrix {
			if m := bindRows(n.elems, out); m != nil {
				return m
			}
			if a := bindArrays(out); a != nil {
				return a
			}
		}
		alikeEmpty(out)
	}
	return named(&rdata.List{Values: out}, n.names)
}

// records reports whether a node is an array of objects, of which some may be null.
func (n *node) records() bool {
	if n.object() {
		return false
	}
	some := false
	for i := range n.elems {
		e := &n.elems[i]
		if e.kind != nodeNull && !e.object() {
			return false
		}
		some = some || e.kind != nodeNull
	}
	return some
}

// scalars reports whether all in a node are, null among them.
func (n *node) scalars() bool {
	return !slices.ContainsFunc(n.elems, func(e node) bool { return e.kind == nodeList })
}

// bindRows is the matrix whose rows are vectors of one length, or nil. An array of
// objects is none, whatever they hold.
func bindRows(elems []node, rows []rdata.Value) rdata.Value {
	columns := rows[0].Len()
	for i, e := range elems {
		if e.kind != nodeList || !e.scalars() || !atomic(rows[i]) || rows[i].Len() != columns {
			return nil
		}
	}
	return bind(rows, columns, []int32{int32(len(rows)), int32(columns)})
}

// bindArrays is the array of arrays of one shape, or nil.
func bindArrays(parts []rdata.Value) rdata.Value {
	shape := dim(parts[0])
	for _, p := range parts {
		if d := dim(p); d == nil || !slices.Equal(d, shape) {
			return nil
		}
	}
	return bind(parts, parts[0].Len(), append([]int32{int32(len(parts))}, shape...))
}

func dim(v rdata.Value) []int32 {
	if d, ok := v.Attributes().Get("dim").(*rdata.Integer); ok {
		return d.Values
	}
	return nil
}

func atomic(v rdata.Value) bool {
	switch rdata.KindOf(v) {
	case rdata.KindNull, rdata.KindLogical, rdata.KindInteger, rdata.KindDouble, rdata.KindComplex, rdata.KindCharacter, rdata.KindRaw:
		return true
	}
	return false
}

// bind is rbind() of rows of n elements each, with the dimensions given.
func bind(rows []rdata.Value, n int, shape []int32) rdata.Value {
	kind := nodeNull
	for _, r := range rows {
		kind = max(kind, nodeKindOf(r))
	}
	elems := make([]node, 0, len(rows)*n)
	for j := range n { // R's arrays are by column
		for _, r := range rows {
			elems = append(elems, element(r, j))
		}
	}
	attrs := rdata.Attributes{{Name: "dim", Value: &rdata.Integer{Values: shape}}}
	switch v := fill(elems, kind).(type) {
	case *rdata.Logical:
		v.Attrs = attrs
		return v
	case *rdata.Integer:
		v.Attrs = attrs
		return v
	case *rdata.Double:
		v.Attrs = attrs
		return v
	case *rdata.Character:
		v.Attrs = attrs
		return v
	}
	return nil
}

func nodeKindOf(v rdata.Value) nodeKind {
	switch v.(type) {
	case *rdata.Logical:
		return nodeLogical
	case *rdata.Integer:
		return nodeInteger
	case *rdata.Double:
		return nodeDouble
	case *rdata.Character:
		return nodeString
	}
	return nodeNull
}

// element is element i of a vector, NA as null.
func element(v rdata.Value, i int) node {
	switch v := v.(type) {
	case *rdata.Logical:
		if v.Values[i] != rdata.NAInteger {
			return node{kind: nodeLogical, num: float64(v.Values[i])}
		}
	case *rdata.Integer:
		if v.Values[i] != rdata.NAInteger {
			return node{kind: nodeInteger, num: float64(v.Values[i])}
		}
	case *rdata.Double:
		if !rdata.IsNA(v.Values[i]) {
			return node{kind: nodeDouble, num: v.Values[i]}
		}
	case *rdata.Character:
		if s, ok := v.At(i); ok {
			return node{kind: nodeString, str: s}
		}
	}
	return node{}
}

// alikeEmpty makes empty arrays among data.frames empty data.frames, and among vectors
// empty vectors of the first one's type.
func alikeEmpty(out []rdata.Value) {
	empty := func(v rdata.Value) bool {
		l, ok := v.(*rdata.List)
		return ok && len(l.Values) == 0 && len(l.Attrs) == 0
	}
	first := slices.IndexFunc(out, func(v rdata.Value) bool { return !empty(v) })
	if first < 0 || !slices.ContainsFunc(out, empty) {
		return
	}
	frames, vectors := true, true
	for _, v := range out {
		if !empty(v) {
			frames = frames && rdata.Inherits(v, "data.frame")
			vectors = vectors && atomic(v) && rdata.KindOf(v) != rdata.KindNull && len(v.Attributes()) == 0
		}
	}
	for i, v := range out {
		switch {
		case !empty(v):
		case frames:
			out[i] = withRows(nil, nil, 0)
		case vectors:
			out[i] = fill(nil, nodeKindOf(out[first]))
		}
	}
}
