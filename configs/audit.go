package configs

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Audit returns what is wrong with the structs themselves, for a test to fail
// on: keys and components without a sentence on what they do, and tags that do
// not fit their field.
func Audit(into any) []string {
	a := &auditor{seen: map[reflect.Type]bool{}}
	a.structure("", reflect.Indirect(reflect.ValueOf(into)).Type())
	return a.findings
}

type auditor struct {
	seen     map[reflect.Type]bool
	findings []string
}

func (a *auditor) structure(path string, t reflect.Type) {
	if a.seen[t] {
		return
	}
	a.seen[t] = true
	s := shapeOf(t)
	for _, f := range s.fields {
		here := below(path, f.name)
		a.sentence(here, f.doc)
		a.tags(here, f)
		if inner := nested(f.typ); inner != nil {
			a.structure(here, inner)
		}
	}
	if s.rest != nil {
		a.sentence(below(path, "*"), s.rest.doc)
	}
	for i := range s.table {
		c := &s.table[i]
		here := below(path, c.Name)
		a.sentence(here, c.Doc)
		if s.field(c.Name) != nil {
			a.add(here, "is a key of its union as well as a component")
		}
		a.structure(here, componentShape(c).typ)
	}
}

func (a *auditor) add(path, finding string) {
	a.findings = append(a.findings, path+": "+finding)
}

func (a *auditor) sentence(path, doc string) {
	if doc == "" {
		a.add(path, "has no doc")
	} else if !strings.HasSuffix(doc, ".") {
		a.add(path, "its doc is not a sentence")
	}
}

func (a *auditor) tags(path string, f *field) {
	for _, tag := range []struct{ name, text string }{{"default", f.fallback}, {"min", f.min}, {"max", f.max}} {
		if tag.text == "" {
			continue
		}
		if err := f.try(tag.name, tag.text); err != nil {
			a.add(path, fmt.Sprintf("its %s tag %q does not fit: %v", tag.name, tag.text, err))
		}
	}
	if f.defaulted && f.required {
		a.add(path, "is required, and has a default")
	}
	if len(f.enum) > 0 && f.fallback != "" && !slices.Contains(f.enum, f.fallback) && f.typ.Kind() == reflect.String {
		a.add(path, fmt.Sprintf("its default %q is not in its enum", f.fallback))
	}
}

// try uses a tag, which panics where it does not fit.
func (f *field) try(tag, text string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	switch f.typ.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		if tag != "default" {
			if length(text, false) == nil {
				return fmt.Errorf("a length is needed")
			}
			return nil
		}
	}
	if tag == "default" {
		f.setDefault(reflect.New(f.typ).Elem())
	} else {
		f.limit(text)
	}
	return nil
}
