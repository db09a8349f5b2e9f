package configs

import (
	"fmt"
	"reflect"
	"strings"
)

// component decodes the one key of a union that names a component.
func (d *decoder) component(given []entry, path string, place Position, s *shape, v reflect.Value, misspelt bool) {
	instead := s.instead(v)
	switch {
	case len(given) == 0 && (misspelt || instead != ""):
		return
	case len(given) == 0:
		names := s.table.names()
		if s.shorthand != nil {
			names = append([]string{s.shorthand.name}, names...)
		}
		d.report(place, path, "names none of "+strings.Join(names, ", "), "")
		return
	case instead != "":
		d.report(given[0].at, path, fmt.Sprintf("names both %s and %s", instead, given[0].key), "one of them is enough")
		return
	}
	first := given[0]
	for _, e := range given[1:] {
		d.report(e.at, path, fmt.Sprintf("names both %s and %s", first.key, e.key), "one of them is enough; a list has a new item for each")
	}
	c := s.table.find(first.key)
	config := reflect.ValueOf(c.New())
	slot := v.FieldByIndex(s.component.index)
	if !config.Type().AssignableTo(slot.Type()) {
		panic(fmt.Sprintf("configs: component %s is a %v, which is no %v", c.Name, config.Type(), slot.Type()))
	}
	componentShape(c)
	here := below(path, c.Name)
	d.doc.places[here] = first.value.at
	if first.value.bad {
		d.failed[here] = true
	} else {
		d.structure(first.value, here, first.at, config.Elem())
	}
	slot.Set(config)
}

// instead is the field of a union that has a value in place of a component, if
// it has one.
func (s *shape) instead(v reflect.Value) string {
	if s.component == nil || s.shorthand == nil || v.FieldByIndex(s.shorthand.index).IsZero() {
		return ""
	}
	return s.shorthand.name
}
