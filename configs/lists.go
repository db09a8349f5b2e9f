package configs

import "reflect"

// list decodes a list, or the single value that may stand for one.
func (d *decoder) list(n *node, path string, v reflect.Value, f *field) {
	items := n.items
	switch {
	case n.kind == null:
		return
	case n.kind == scalar && f.single:
		items = []*node{n}
	case n.kind != list:
		hint := ""
		if n.kind == scalar && nested(v.Type()) == nil {
			hint = "put it into brackets"
			if !secret(v.Type()) {
				hint = "write [" + clip(n.text) + "]"
			}
		}
		d.report(n.at, path, "must be a list, not "+n.String(), hint)
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, it := range items {
		here := item(path, i)
		if n.kind == scalar {
			here = path
		}
		if it.kind == null && !it.bad && v.Type().Elem() != anyType {
			d.report(it.at, here, "is empty", "quote it if the text "+quoteNull(it)+" is meant")
			continue
		}
		d.value(it, here, it.at, out.Index(i), f.element())
	}
	v.Set(out)
}

func quoteNull(n *node) string {
	if n.text == "" {
		return `""`
	}
	return `"` + n.text + `"`
}

// mapOf decodes a map with string keys.
func (d *decoder) mapOf(n *node, path string, v reflect.Value, f *field) {
	if n.kind != mapping {
		d.report(n.at, path, "must be a mapping of names to values, not "+n.String(), "")
		return
	}
	out := reflect.MakeMap(v.Type())
	for _, e := range n.entries {
		x := reflect.New(v.Type().Elem()).Elem()
		if e.value.kind == null && !e.value.bad && nested(x.Type()) == nil && x.Type() != anyType {
			d.report(e.at, below(path, e.key), "is empty", "")
			continue
		}
		d.value(e.value, below(path, e.key), e.at, x, f.element())
		out.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), x)
	}
	v.Set(out)
}

// pairs decodes Pairs, from a mapping or from the names that may stand for one.
func (d *decoder) pairs(n *node, path string, v reflect.Value, f *field) {
	if f.single && (n.kind == list || n.kind == scalar) {
		d.names(n, path, v)
		return
	}
	if n.kind != mapping {
		d.report(n.at, path, "must be a mapping of names to values, not "+n.String(), "")
		return
	}
	var out Pairs
	for _, e := range n.entries {
		here := below(path, e.key)
		d.doc.places[here] = e.value.at
		switch {
		case e.value.bad:
			d.failed[here] = true
		case e.value.kind == null:
			d.report(e.at, here, "is empty", "")
		case e.value.kind != scalar:
			d.report(e.value.at, here, "must be a single value, not "+e.value.String(), "")
		default:
			out = append(out, Pair{Name: e.key, Value: e.value.text, Quoted: e.value.quoted, Position: e.value.at})
		}
	}
	v.Set(reflect.ValueOf(out))
}

// names decodes Pairs of which each value is its name.
func (d *decoder) names(n *node, path string, v reflect.Value) {
	var given []string
	names := reflect.ValueOf(&given).Elem()
	d.list(n, path, names, &field{single: true})
	var out Pairs
	for i, name := range given {
		here := item(path, i)
		if n.kind == scalar {
			here = path
		}
		if !d.failed[here] {
			out = append(out, Pair{Name: name, Value: name, Position: d.doc.places[here]})
		}
	}
	v.Set(reflect.ValueOf(out))
}
