package configs

import (
	"encoding/json"
	"fmt"
	"reflect"
)

// SetDefaults fills the fields of the struct that into points to with their
// defaults: a config that no file has.
func SetDefaults(into any) { defaults(reflect.ValueOf(into).Elem()) }

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
	d := tagDecoder()
	d.value(n, f.name, Position{}, v, f)
	if len(d.problems) > 0 {
		panic(fmt.Sprintf("configs: default %q of type %v: %v", f.fallback, t, d.problems))
	}
}

// tagDecoder decodes what stands in a tag rather than in a file.
func tagDecoder() *decoder {
	doc := &Document{text: newSource("", nil), places: map[string]Position{}}
	return &decoder{doc: doc, failed: map[string]bool{}, budget: maxValues}
}

// yamlValue is a default or example as JSON would have it.
func (f *field) yamlValue(text string) any {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.String || isText(t) {
		return text
	}
	doc, problems := Parse("tag of "+f.name, []byte(text), Variables{})
	if len(problems) > 0 {
		return text
	}
	return jsonValue(tagDecoder().free(doc.root, ""))
}

func (f *field) jsonDefault() json.RawMessage {
	out, err := json.Marshal(f.yamlValue(f.fallback))
	if err != nil {
		panic(fmt.Sprintf("configs: default %q of %s: %v", f.fallback, f.name, err))
	}
	return out
}

// jsonValue turns Objects into maps.
func jsonValue(x any) any {
	switch x := x.(type) {
	case Object:
		out := map[string]any{}
		for _, m := range x {
			out[m.Key] = jsonValue(m.Value)
		}
		return out
	case []any:
		out := []any{}
		for _, it := range x {
			out = append(out, jsonValue(it))
		}
		return out
	}
	return x
}
