package configs

import (
	"reflect"
	"strings"
)

// check is a struct whose own rules are still to run.
type check struct {
	v    reflect.Value
	path string
	at   Position
}

// rules runs the Checkers, then the Warners, of all structs in the file.
func (d *decoder) rules() {
	for _, c := range d.checks {
		if checker, ok := c.v.Addr().Interface().(Checker); ok {
			d.rule(c, checker.Check, false)
		}
	}
	for _, c := range d.checks {
		if warner, ok := c.v.Addr().Interface().(Warner); ok {
			d.rule(c, warner.Warn, true)
		}
	}
}

// rule gives the findings of one rule their place. It drops those on what had a
// problem before the rule ran, where the rule sees a zero value.
func (d *decoder) rule(c check, run func(report func(field, message, hint string)), warning bool) {
	var found []string
	run(func(field, message, hint string) {
		if broken(d.failed, c.path, field) {
			return
		}
		path := join(c.path, field)
		problem := d.doc.text.problem(d.placeWithin(c, path), path, message, hint)
		problem.Warning = warning
		d.problems = append(d.problems, problem)
		found = append(found, path)
	})
	if warning {
		return
	}
	for _, path := range found {
		d.failed[path] = true
	}
}

// broken tells whether a field has an error at or below it; of a struct as a
// whole, whether one of its own fields has.
func broken(failed map[string]bool, path, field string) bool {
	whole := join(path, field)
	for f := range failed {
		rest, within := strings.CutPrefix(f, whole)
		if !within || rest != "" && whole != "" && rest[0] != '.' && rest[0] != '[' {
			continue
		}
		if field != "" || !strings.Contains(strings.TrimPrefix(rest, "."), ".") {
			return true
		}
	}
	return false
}

// placeWithin is the place of a value, or of the nearest thing around it within
// the struct, or of the struct.
func (d *decoder) placeWithin(c check, path string) Position {
	for len(path) > len(c.path) {
		if at, ok := d.doc.places[path]; ok {
			return at
		}
		path = path[:max(len(c.path), strings.LastIndexAny(path, ".["))]
	}
	return c.at
}

// join appends to a path what is already a path.
func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}
