package configs

import (
	"fmt"
	"reflect"
	"strings"
)

// component decodes the one key of a union that names a component.
func (d *decoder) component(given []entry, path string, place Position, s *shape, v reflect.Value, misspelt bool) {
	switch {
	case len(given) == 0 && misspelt:
		return
	case len(given) == 0:
		d.report(place, path, "names none of "+strings.Join(s.table.names(), ", "), "")
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
