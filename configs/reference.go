package configs

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// ReferenceOptions shape the text of [Reference].
type ReferenceOptions struct {
	Title string // heading of the page; "" is none
	Intro string // Markdown under it
	Level int    // of the headings of sections; 0 is 2
}

// Reference writes the Markdown reference of a struct: a section for it, for
// each struct and each list of components in it, and for each component, with
// a table of their keys. The same structs always give the same text.
func Reference(w io.Writer, into any, o ReferenceOptions) error {
	r := &reference{level: o.Level, done: map[reflect.Type]string{}}
	if r.level < 1 {
		r.level = 2
	}
	if o.Title != "" {
		fmt.Fprintf(&r.out, "%s %s\n\n", strings.Repeat("#", max(1, r.level-1)), o.Title)
	}
	if o.Intro != "" {
		fmt.Fprintf(&r.out, "%s\n\n", strings.TrimSpace(o.Intro))
	}
	r.section("", "", reflect.Indirect(reflect.ValueOf(into)).Type())
	_, err := w.Write(append(bytes.TrimRight(r.out.Bytes(), "\n"), '\n'))
	return err
}

type reference struct {
	out   bytes.Buffer
	level int
	done  map[reflect.Type]string // the path under which a struct is documented
}

// section documents a struct, then what stands in it. Path is where it stands
// in the file, "" at its top.
func (r *reference) section(path, doc string, t reflect.Type) {
	s := shapeOf(t)
	heading := "The file"
	if path != "" {
		heading = "`" + path + "`"
	}
	fmt.Fprintf(&r.out, "%s %s\n\n", strings.Repeat("#", r.level), heading)
	if doc != "" {
		fmt.Fprintf(&r.out, "%s\n\n", plainText.Replace(doc))
	}
	if s.shorthand != nil {
		last := path[strings.LastIndex(path, ".")+1:]
		fmt.Fprintf(&r.out, "`%s: …` is short for `%s: {%s: …}`.\n\n", last, last, s.shorthand.name)
	}
	if first, ok := r.done[t]; ok {
		fmt.Fprintf(&r.out, "As [`%s`](#%s).\n\n", first, anchor(first))
		return
	}
	r.done[t] = path
	r.keys(s, path)
	r.components(s, path)
	for _, f := range s.fields {
		if inner := nested(f.typ); inner != nil {
			r.section(f.path(path), f.doc, inner)
		}
	}
	for i := range s.table {
		c := &s.table[i]
		r.section(below(path, c.Name), c.Doc, componentShape(c).typ)
	}
}

func (f *field) path(around string) string {
	switch f.typ.Kind() {
	case reflect.Slice:
		return below(around, f.name) + "[]"
	case reflect.Map:
		return below(around, f.name) + ".*"
	}
	return below(around, f.name)
}

func (r *reference) keys(s *shape, path string) {
	fields := s.fields
	if s.rest != nil {
		fields = append(fields[:len(fields):len(fields)], s.rest)
	}
	if len(fields) == 0 {
		if s.component == nil {
			r.out.WriteString("It has no keys.\n\n")
		}
		return
	}
	r.out.WriteString("| Key | Type | Default | Meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range fields {
		key := "`" + f.name + "`"
		if f == s.rest {
			key = "*name*"
		}
		kind := f.typeText(path)
		if f == s.rest {
			kind = restType(f.typ)
		}
		fmt.Fprintf(&r.out, "| %s | %s | %s | %s |\n", key, kind, f.defaultText(), f.meaning())
	}
	r.out.WriteString("\n")
}

func (r *reference) components(s *shape, path string) {
	if len(s.table) == 0 {
		return
	}
	if s.shorthand != nil {
		fmt.Fprintf(&r.out, "In place of `%s`, one of:", s.shorthand.name)
	} else {
		r.out.WriteString("One of:")
	}
	r.out.WriteString("\n\n| Component | What it does |\n| --- | --- |\n")
	for _, c := range s.table {
		fmt.Fprintf(&r.out, "| [`%s`](#%s) | %s |\n", c.Name, anchor(below(path, c.Name)), prose(c.Doc))
	}
	r.out.WriteString("\n")
}

// anchor is the link that GitHub gives a heading.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
			return r
		}
		return -1
	}, strings.ToLower(heading))
}

// cell keeps text from ending a table's cell.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// plainText keeps the signs of tags' plain text from being taken for Markdown.
var plainText = strings.NewReplacer("*", `\*`, "<", `\<`)

func prose(text string) string { return plainText.Replace(cell(text)) }

// code is text as code in a table's cell.
func code(text string) string {
	if text == "" {
		return "`\"\"`"
	}
	return "`" + cell(text) + "`"
}

func (f *field) defaultText() string {
	switch {
	case f.required:
		return "**required**"
	case f.defaulted:
		return code(f.fallback)
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		return "`false`"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if !isText(f.typ) || f.typ == reflect.TypeFor[Size]() || f.typ == reflect.TypeFor[Duration]() {
			return "`0`"
		}
	}
	return ""
}

func (f *field) meaning() string {
	text := prose(f.doc)
	if f.min != "" {
		text += " At least " + code(f.min) + "."
	}
	if f.max != "" {
		text += " At most " + code(f.max) + "."
	}
	if f.example != "" {
		text += " Example: " + code(f.example) + "."
	}
	return strings.TrimSpace(text)
}

// typeText says what may stand at a key.
func (f *field) typeText(around string) string {
	name := typeName(f.typ)
	if len(f.enum) > 0 {
		var words []string
		for _, w := range f.enum {
			words = append(words, code(w))
		}
		name = strings.TrimSuffix(name, "text") + strings.Join(words, ", ")
	}
	if nested(f.typ) != nil {
		name = "[" + name + "](#" + anchor(f.path(around)) + ")"
	}
	switch {
	case f.single && f.typ == pairsType:
		name += ", or names"
	case f.single:
		name += ", or one"
	}
	return name
}

// restType is the type of each key that no field has.
func restType(t reflect.Type) string {
	if t == pairsType {
		return "text"
	}
	return typeName(t.Elem())
}

func typeName(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Size]():
		return "size"
	case t == reflect.TypeFor[Duration]():
		return "duration"
	case t == secretType:
		return "secret"
	case t == pairsType:
		return "names to text, in order"
	case t == anyType:
		return "anything"
	case isText(t):
		return "text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		return "mapping"
	case reflect.Slice:
		return "list of " + plural(typeName(t.Elem()))
	case reflect.Map:
		return "names to " + typeName(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	}
	return "whole number"
}

func plural(name string) string {
	if name == "text" || name == "anything" || name == "true or false" {
		return name
	}
	return name + "s"
}
