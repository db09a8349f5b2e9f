package configs

import (
	"fmt"
	"reflect"
	"strings"
)

// Decode fills the struct that into points to, with defaults for what the
// document leaves out, runs its rules, and returns every problem in the order of
// the file. It never stops at the first one. With errors, the struct is filled
// as far as possible and not to be used for more than reporting. A nil document
// has no problems.
func Decode(doc *Document, into any) Problems {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("configs: Decode needs a pointer to a struct, not %T", into))
	}
	if doc == nil {
		return nil
	}
	d := &decoder{doc: doc, failed: map[string]bool{}, budget: maxValues}
	d.structure(doc.root, "", doc.root.at, v.Elem())
	d.rules()
	d.problems.Sort()
	return d.problems
}

// maxValues is far beyond any file that a person or program writes.
const maxValues = 200_000

type decoder struct {
	doc      *Document
	problems Problems
	failed   map[string]bool // paths that have an error
	stack    []frame         // structs around the one being decoded, from the root
	checks   []check
	hidden   map[*node]bool // secrets that are kept out of quotes
	budget   int            // values left to decode: aliases can make a small file huge
}

// frame is a struct that is being decoded.
type frame struct {
	path  string
	shape *shape
}

func (d *decoder) report(at Position, path, message, hint string) {
	d.problems = append(d.problems, d.doc.text.problem(at, path, message, hint))
	d.failed[path] = true
}

// structure decodes a mapping. Place is where the struct is said to stand: at
// its key, for what it lacks.
func (d *decoder) structure(n *node, path string, place Position, v reflect.Value) {
	s := shapeOf(v.Type())
	if n.kind != mapping && n.kind != null {
		if s.shorthand != nil {
			n = &node{kind: mapping, at: n.at, entries: []entry{{s.shorthand.name, n.at, n}}}
		} else {
			d.report(n.at, path, "must be a mapping of keys to values, not "+n.String(), s.example(n))
			return
		}
	}
	d.stack = append(d.stack, frame{path, s})
	defer func() { d.stack = d.stack[:len(d.stack)-1] }()
	d.checks = append(d.checks, check{v: v, path: path, at: place})
	for _, index := range s.inline {
		d.checks = append(d.checks, check{v: v.FieldByIndex(index), path: path, at: place})
	}
	if s.position != nil {
		v.FieldByIndex(s.position).Set(reflect.ValueOf(place))
	}

	given, meant := map[string]bool{}, map[string]bool{}
	var rest []entry
	var components []entry
	for _, e := range n.entries {
		here := below(path, e.key)
		f := s.field(e.key)
		switch {
		case f != nil && e.value.kind == null && !isStruct(f.typ): // as if it were absent
			d.doc.places[here] = e.at
		case f != nil:
			given[e.key] = true
			d.value(e.value, here, e.at, v.FieldByIndex(f.index), f)
		case s.table.find(e.key) != nil:
			components = append(components, e)
		case s.rest != nil:
			rest = append(rest, e)
		case path == "" && strings.HasPrefix(e.key, "x-"): // a place for anchors
		default:
			meant[d.unknown(e, path, s, n)] = true
		}
	}
	for _, e := range n.again {
		if f := s.field(e.key); f != nil && secret(f.typ) {
			d.hide(e.value)
		}
	}
	if s.rest != nil && (len(rest) > 0 || s.rest.required) {
		d.value(&node{kind: mapping, at: n.at, entries: rest}, path, place, v.FieldByIndex(s.rest.index), s.rest)
	}
	for _, f := range s.fields {
		if !given[f.name] {
			d.absent(f, below(path, f.name), place, v.FieldByIndex(f.index), meant[f.name])
		}
	}
	if s.component != nil {
		d.component(components, path, place, s, v, len(meant) > 0)
	}
}

// absent gives a field its default.
func (d *decoder) absent(f *field, path string, place Position, v reflect.Value, misspelt bool) {
	if at, empty := d.doc.places[path]; empty {
		place = at
	}
	switch {
	case f.required && !misspelt:
		d.report(place, path, "is required", f.hint())
	case f.required:
		d.failed[path] = true
	case f.defaulted:
		f.setDefault(v)
	}
	if v.Kind() == reflect.Struct && !isText(v.Type()) {
		defaults(v)
	}
}

// hint tells what a field is for.
func (f *field) hint() string {
	if f.example != "" {
		return "such as " + f.name + ": " + f.example
	}
	return f.doc
}

// example shows how a struct is written, to whoever wrote something else.
func (s *shape) example(instead *node) string {
	if instead.kind == scalar && s.table.find(instead.text) != nil {
		return "write " + instead.text + ": with a colon"
	}
	var keys []string
	for _, name := range append(s.table.names(), s.keys()...) {
		keys = append(keys, name+": …")
	}
	if len(keys) == 0 {
		return ""
	}
	if s.component != nil {
		return "such as " + keys[0]
	}
	return "such as {" + strings.Join(keys[:min(3, len(keys))], ", ") + "}"
}

// value decodes what stands at a key or in a list. Place is where its key is.
func (d *decoder) value(n *node, path string, place Position, v reflect.Value, f *field) {
	if !d.afford(n, path) {
		return
	}
	if secret(v.Type()) {
		d.hide(n)
	}
	if n.bad {
		d.failed[path] = true
		return
	}
	d.doc.places[path] = n.at
	before := len(d.problems)
	switch t := v.Type(); {
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.value(n, path, place, p.Elem(), f)
		v.Set(p)
		return
	case isText(t):
		d.text(n, path, v)
	case t == pairsType:
		d.pairs(n, path, v, f)
	case t == anyType:
		if x := d.free(n, path); x != nil {
			v.Set(reflect.ValueOf(x))
		}
	case t.Kind() == reflect.Struct:
		d.structure(n, path, place, v)
		return
	case t.Kind() == reflect.Slice:
		d.list(n, path, v, f)
	case t.Kind() == reflect.Map:
		d.mapOf(n, path, v, f)
	default:
		d.scalar(n, path, v)
	}
	if len(d.problems) == before {
		d.bounds(n, path, v, f)
	}
}

// afford counts a value, and reports the one that is too much.
func (d *decoder) afford(n *node, path string) bool {
	if d.budget--; d.budget == -1 {
		d.report(n.at, path, "the file has too many values", "are aliases nested?")
	}
	return d.budget >= 0
}
