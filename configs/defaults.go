package configs

import (
	"fmt"
	"reflect"
)

// defaults fills an absent struct: its defaults, not those of components.
func defaults(v reflect.Value) {
	for _, f := range shapeOf(v.Type()).fields {
		x := v.FieldByIndex(f.index)
		if f.defaulted {
			f.setDefault(x)
		}
		if x.Kind() == reflect.Struct && !isText(x.Type()) && x.Type() != positionType {
			defaults(x)
		}
	}
}

// setDefault decodes the default tag. It panics on a default that does not
// decode, which is a mistake in the program.
func (f *field) setDefault(v reflect.Value) {
	n := &node{kind: scalar, text: f.fallback}
	t := v.Type()
	if t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		doc, problems := Parse("default of "+f.name, []byte(f.fallback), Variables{})
		if len(problems) > 0 {
			panic("configs: " + problems.Error())
		}
		n = doc.root
	}
	d := &decoder{doc: &Document{text: newSource("", nil), places: map[string]Position{}}, failed: map[string]bool{}, budget: 1000}
	d.value(n, f.name, Position{}, v, f)
	if len(d.problems) > 0 {
		panic(fmt.Sprintf("configs: default %q of type %v: %v", f.fallback, t, d.problems))
	}
}
