package configs

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/google/jsonschema-go/jsonschema"
)

// Schema writes the JSON schema (draft 2020-12) of a struct for editors, with
// the id as its $id. What it accepts, Decode accepts, but for rules that the
// tags do not say, whether a variable's value fits, and what an empty key means.
func Schema(into any, id string) ([]byte, error) {
	t := reflect.Indirect(reflect.ValueOf(into)).Type()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("configs: schema of %T: it is no struct", into)
	}
	b := &schemas{defs: map[string]*jsonschema.Schema{variableDef: {
		Description: "A variable, ${name} or ${name:default}, among other text or alone.",
		Type:        "string",
		Pattern:     `\$\{`,
	}}}
	root := b.object(t)
	root.PatternProperties = map[string]*jsonschema.Schema{"^x-": {}} // a place for anchors
	root.ID, root.Schema, root.Defs = id, "https://json-schema.org/draft/2020-12/schema", b.defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("configs: schema of %T: %w", into, err)
	}
	return append(out, '\n'), nil
}

const variableDef = "variable"

type schemas struct {
	defs map[string]*jsonschema.Schema
}

func ref(name string) *jsonschema.Schema { return &jsonschema.Schema{Ref: "#/$defs/" + name} }

// typed is the schema of a struct type, by reference.
func (b *schemas) typed(t reflect.Type) *jsonschema.Schema {
	name := t.String()
	if _, begun := b.defs[name]; !begun {
		b.defs[name] = nil
		b.defs[name] = b.object(t)
	}
	return ref(name)
}

func (b *schemas) object(t reflect.Type) *jsonschema.Schema {
	s := shapeOf(t)
	out := &jsonschema.Schema{
		Type:                 "object",
		Properties:           map[string]*jsonschema.Schema{},
		AdditionalProperties: &jsonschema.Schema{Not: &jsonschema.Schema{}},
	}
	for _, f := range s.fields {
		out.Properties[f.name] = b.field(f)
		out.PropertyOrder = append(out.PropertyOrder, f.name)
		if f.required {
			out.Required = append(out.Required, f.name)
		}
	}
	if s.rest != nil {
		out.AdditionalProperties = b.value(s.rest.typ, s.rest).AdditionalProperties
		if s.rest.required {
			out.MinProperties = jsonschema.Ptr(len(out.Required) + 1)
		}
	}
	if s.component != nil {
		b.union(s, out)
	}
	return out
}

// union adds the components to the keys of a struct: exactly one of them, or of
// them and the shorthand's key.
func (b *schemas) union(s *shape, out *jsonschema.Schema) {
	names := []any{}
	if s.shorthand != nil {
		out.OneOf = append(out.OneOf, &jsonschema.Schema{Required: []string{s.shorthand.name}})
	}
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	for i := range s.table {
		c := &s.table[i]
		config := b.config(componentShape(c))
		config.Description = c.Doc
		out.Properties[c.Name] = config
		out.PropertyOrder = append(out.PropertyOrder, c.Name)
		out.OneOf = append(out.OneOf, &jsonschema.Schema{Required: []string{c.Name}})
		names = append(names, c.Name)
	}
	out.PropertyNames = &jsonschema.Schema{Enum: names}
}

// config is a struct as the value of a key: its mapping, what its shorthand
// allows in place of one, and nothing where it needs nothing.
func (b *schemas) config(s *shape) *jsonschema.Schema {
	all := []*jsonschema.Schema{b.typed(s.typ)}
	if s.shorthand != nil {
		all = append(all, b.value(s.shorthand.typ, s.shorthand))
	}
	if !s.demanding() {
		all = append(all, &jsonschema.Schema{Type: "null"})
	}
	return either(all...)
}

// demanding tells whether an empty mapping is a problem.
func (s *shape) demanding() bool {
	return s.component != nil || s.rest != nil && s.rest.required ||
		slices.ContainsFunc(s.fields, func(f *field) bool { return f.required })
}

func either(all ...*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{AnyOf: all}
}

func (b *schemas) field(f *field) *jsonschema.Schema {
	s := b.value(f.typ, f)
	s.Description = f.doc
	if f.defaulted {
		s.Default = f.jsonDefault()
	}
	if f.example != "" {
		s.Examples = []any{f.yamlValue(f.example)}
	}
	return s
}

// value is the schema of a type under a field's rules.
func (b *schemas) value(t reflect.Type, f *field) *jsonschema.Schema {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[Size]():
		return either(&jsonschema.Schema{Type: "integer", Minimum: jsonschema.Ptr(0.0)},
			&jsonschema.Schema{Type: "string", Pattern: sizePattern}, ref(variableDef))
	case t == reflect.TypeFor[Duration]():
		return either(&jsonschema.Schema{Const: jsonschema.Ptr[any](0)},
			&jsonschema.Schema{Type: "string", Pattern: durationPattern}, ref(variableDef))
	case isText(t):
		return text()
	case t == pairsType:
		return b.pairs(f)
	case t == anyType:
		return &jsonschema.Schema{}
	case t.Kind() == reflect.Struct:
		return b.config(shapeOf(t))
	case t.Kind() == reflect.Slice:
		return b.list(t, f)
	case t.Kind() == reflect.Map:
		return &jsonschema.Schema{Type: "object", AdditionalProperties: b.value(t.Elem(), f.element()),
			MinProperties: length(f.min, f.required), MaxProperties: length(f.max, false)}
	case t.Kind() == reflect.Bool:
		return either(&jsonschema.Schema{Type: "boolean"}, ref(variableDef))
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return either(&jsonschema.Schema{Type: "number", Minimum: number(f.min), Maximum: number(f.max)}, ref(variableDef))
	case t.Kind() == reflect.String:
		return b.word(f)
	}
	return either(&jsonschema.Schema{Type: "integer", Minimum: number(f.min), Maximum: number(f.max)}, ref(variableDef))
}

func (b *schemas) pairs(f *field) *jsonschema.Schema {
	out := &jsonschema.Schema{Type: "object", AdditionalProperties: text()}
	if !f.single {
		return out
	}
	out.MinProperties = length("", f.required)
	return either(out, &jsonschema.Schema{Type: "array", Items: text(), MinItems: length("", f.required)}, text())
}

func (b *schemas) list(t reflect.Type, f *field) *jsonschema.Schema {
	items := b.value(t.Elem(), f.element())
	if isStruct(t.Elem()) {
		items = b.typed(nested(t.Elem()))
	}
	out := &jsonschema.Schema{Type: "array", Items: items, MinItems: length(f.min, f.required), MaxItems: length(f.max, false)}
	if f.single {
		return either(out, items)
	}
	return out
}

// word is text under a field's rules.
func (b *schemas) word(f *field) *jsonschema.Schema {
	if len(f.enum) > 0 {
		var names []any
		for _, name := range f.enum {
			names = append(names, name)
		}
		return either(&jsonschema.Schema{Enum: names}, ref(variableDef))
	}
	out := text()
	out.MinLength, out.MaxLength = length(f.min, f.required), length(f.max, false)
	return out
}

// text is any single value: Decode takes 1 and true for the text they are
// written as.
func text() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
}

func number(tag string) *float64 {
	if x, err := strconv.ParseFloat(tag, 64); err == nil {
		return &x
	}
	return nil
}

func length(tag string, filled bool) *int {
	if x, err := strconv.Atoi(tag); err == nil {
		return &x
	}
	if filled {
		return jsonschema.Ptr(1)
	}
	return nil
}
