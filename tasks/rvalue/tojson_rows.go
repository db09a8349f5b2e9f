package rvalue

import "github.com/rpipe-dev/rpipe/rdata"

// rows writes a data.frame as an array of objects.
func (w *writer) rows(v *rdata.List, n int) {
	row := w.row(v, n)
	w.each('[', n, row, ']')
}

// row returns what writes row i of a data.frame of n rows as an object.
func (w *writer) row(v *rdata.List, n int) func(i int) {
	names, ok := v.Attrs.Get("names").(*rdata.Character)
	if !ok || names.Len() != len(v.Values) {
		names = rdata.NewCharacter(make([]string, len(v.Values)))
	}
	keys := keys(names)
	cells := make([]func(i int), len(v.Values))
	for c := range cells {
		cells[c] = w.column(v.Values[c], n)
	}
	if rows, ok := v.Attrs.Get("row.names").(*rdata.Character); ok && rows.Len() == n {
		keys = append(keys, rowKey)
		cells = append(cells, w.scalars(rows))
	}
	return func(i int) {
		w.each('{', len(cells), func(c int) { w.key(keys[c]); cells[c](i) }, '}')
	}
}

// column returns what writes the cell of row i. Columns may be vectors, lists, matrices
// and data.frames; one that is not of n rows is null.
func (w *writer) column(v rdata.Value, n int) func(i int) {
	null := func(int) { w.null() }
	if l, ok := v.(*rdata.List); ok {
		if times, ok := brokenDown(l); ok {
			v = times
		} else if rows, ok := rdata.Rows(l); ok {
			if rows != n {
				return null
			}
			return w.row(l, n)
		}
	}
	if d := shape(v); d != nil && d[0] == n {
		return w.slices(v, d)
	}
	switch raw := v.(type) {
	case *rdata.Opaque, *rdata.Symbol, *rdata.Pairlist, rdata.Null:
		return null
	case *rdata.Raw:
		if v.Len() != n {
			return null
		}
		return func(i int) { w.value(&rdata.Raw{Values: raw.Values[i : i+1]}) }
	}
	if v.Len() != n {
		return null
	}
	return w.cell(v)
}

// slices returns what writes the part of an array that has i as its first index.
func (w *writer) slices(v rdata.Value, shape []int) func(i int) {
	element := w.cell(v)
	var part func(d, at, step int)
	part = func(d, at, step int) {
		if d == len(shape) {
			element(at)
			return
		}
		w.each('[', shape[d], func(i int) { part(d+1, at+i*step, step*shape[d]) }, ']')
	}
	return func(i int) { part(1, i, shape[0]) }
}
