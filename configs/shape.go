package configs

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

// shape is what the tags of a struct say. Decode, Normalized, Schema and
// Reference all work from it.
type shape struct {
	typ       reflect.Type
	fields    []*field // in order, those of inline structs in their place
	rest      *field   // takes the keys that no field has, or nil
	component *field   // takes the component of a union, or nil
	table     Table    // of a union
	position  []int    // index of the field that takes the place, or nil
	inline    [][]int  // indexes of inline structs, which have rules of their own
	shorthand *field   // what anything but a mapping is the value of, or nil
}

type field struct {
	name         string
	typ          reflect.Type
	index        []int
	doc, example string
	fallback     string // the default tag
	defaulted    bool   // there is a default tag
	required     bool
	single       bool // scalar:"true"
	enum         []string
	min, max     string
}

var (
	positionType = reflect.TypeFor[Position]()
	pairsType    = reflect.TypeFor[Pairs]()
	secretType   = reflect.TypeFor[Secret]()
	anyType      = reflect.TypeFor[any]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

var shapes sync.Map // reflect.Type to *shape

// shapeOf reads the tags of a struct type. It panics where they make no sense:
// that is a mistake in the program, which any test of the struct finds.
func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{typ: t}
	s.add(t, nil)
	if union, ok := reflect.Zero(t).Interface().(Union); ok {
		s.table = union.Components()
	}
	if (s.component == nil) != (s.table == nil) {
		panic(fmt.Sprintf("configs: %v needs both a field tagged yaml:\",component\" and a method Components on its value", t))
	}
	if short, ok := reflect.New(t).Interface().(Shorthander); ok {
		if s.shorthand = s.field(short.Shorthand()); s.shorthand == nil {
			panic(fmt.Sprintf("configs: %v: Shorthand names no field", t))
		}
	}
	actual, _ := shapes.LoadOrStore(t, s)
	return actual.(*shape)
}

func (s *shape) add(t reflect.Type, at []int) {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clone(at), i)
		tag, tagged := f.Tag.Lookup("yaml")
		name, option, _ := strings.Cut(tag, ",")
		if !tagged || name == "-" {
			continue
		}
		if !f.IsExported() {
			panic(fmt.Sprintf("configs: %v.%s has a yaml tag and is not exported", t, f.Name))
		}
		switch option {
		case "inline":
			if f.Type.Kind() == reflect.Struct {
				s.inline = append(s.inline, index)
				s.add(f.Type, index)
				continue
			}
			s.rest = newField(name, f, index)
		case "component":
			s.component = newField(name, f, index)
		case "position":
			s.position = index
		case "":
			if s.field(name) != nil {
				panic(fmt.Sprintf("configs: %v has two fields with the key %q", s.typ, name))
			}
			s.fields = append(s.fields, newField(name, f, index))
		default:
			panic(fmt.Sprintf("configs: %v.%s: unknown option in its yaml tag: %s", t, f.Name, option))
		}
	}
}

func newField(name string, f reflect.StructField, index []int) *field {
	out := &field{
		name: name, typ: f.Type, index: index,
		doc: f.Tag.Get("doc"), example: f.Tag.Get("example"),
		required: f.Tag.Get("required") == "true",
		single:   f.Tag.Get("scalar") == "true",
		min:      f.Tag.Get("min"), max: f.Tag.Get("max"),
	}
	out.fallback, out.defaulted = f.Tag.Lookup("default")
	if enum := f.Tag.Get("enum"); enum != "" {
		out.enum = strings.Split(enum, "|")
	}
	return out
}

// element is what a list's or map's tags say of each value in it.
func (f *field) element() *field {
	e := *f
	e.min, e.max, e.required = "", "", false
	return &e
}

func (s *shape) field(name string) *field {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// keys are all keys that may stand in the struct's mapping.
func (s *shape) keys() []string {
	var out []string
	for _, f := range s.fields {
		out = append(out, f.name)
	}
	return append(out, s.table.names()...)
}

// nested returns the struct type that a field holds, through pointers and
// lists, or nil.
func nested(t reflect.Type) reflect.Type {
	for {
		switch {
		case isText(t) || t == positionType || t == pairsType:
			return nil
		case t.Kind() == reflect.Struct:
			return t
		case t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map:
			t = t.Elem()
		default:
			return nil
		}
	}
}

// componentShape returns the shape of a component's config.
func componentShape(c *Component) *shape {
	t := reflect.TypeOf(c.New())
	if t == nil || t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("configs: component %s: New must return a pointer to a struct, not %v", c.Name, t))
	}
	return shapeOf(t.Elem())
}

// isText tells types that read their value from text themselves.
func isText(t reflect.Type) bool {
	return t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(textType)
}

// isStruct tells whether the key of such a field, without a value, stands for a
// struct with its defaults.
func isStruct(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && nested(t) != nil
}
