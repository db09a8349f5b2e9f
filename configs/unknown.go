package configs

import (
	"reflect"
	"slices"
	"strings"
)

// unknown reports a key that no field has, with the best guess at what was
// meant. It returns the key of the struct that was meant, "" if none.
func (d *decoder) unknown(e entry, path string, s *shape, around *node) string {
	keys := s.keys()
	near := nearest(e.key, keys)
	hint := ""
	switch {
	case near != "" && edits(fold(e.key), fold(near)) <= 1:
		hint = "did you mean " + near + "?"
	case d.belongs(e.key, s, around) != "":
		hint, near = d.belongs(e.key, s, around), ""
	case near != "":
		hint = "did you mean " + near + "?"
	default:
		hint = didYouMean(e.key, keys, "", "")
	}
	if f := s.field(near); f != nil && secret(f.typ) {
		d.hide(e.value)
	}
	d.report(e.at, below(path, e.key), "unknown key", hint)
	return near
}

// belongs says where else a key is known: first inside the struct, then around
// it, then anywhere in the file.
func (d *decoder) belongs(key string, s *shape, around *node) string {
	for _, e := range around.entries {
		if c := s.table.find(e.key); c != nil && componentShape(c).field(key) != nil {
			return key + " belongs under " + c.Name
		}
	}
	for _, f := range s.fields {
		if t := nested(f.typ); t != nil && shapeOf(t).field(key) != nil {
			return key + " belongs under " + f.name
		}
	}
	for i := len(d.stack) - 2; i >= 0; i-- {
		outer := d.stack[i]
		switch {
		case outer.shape.field(key) == nil:
			continue
		case outer.path == "":
			return key + " belongs at the top of the file"
		default:
			return key + " belongs one level up, directly under " + outer.path
		}
	}
	return elsewhere(key, index(d.stack[0].shape)[key])
}

// elsewhere tells where a key may stand, if those places are few.
func elsewhere(key string, places []place) string {
	if len(places) == 0 || len(places) > 3 {
		return ""
	}
	var paths, nouns []string
	for _, p := range places {
		paths = append(paths, p.path)
		if noun := p.noun(); p.component && !slices.Contains(nouns, noun) {
			nouns = append(nouns, noun)
		}
	}
	under := strings.Join(paths, " or ")
	if len(nouns) > 0 {
		return key + " is " + strings.Join(nouns, " or ") + ", which goes under " + under
	}
	return key + " belongs under " + under
}

// place is somewhere in the file that a key may stand.
type place struct {
	path      string // of the mapping around it, such as sink.parquet
	component bool   // the key is a component's name
}

// noun makes "a stage" of stages and "a source" of source.
func (p place) noun() string {
	word := strings.TrimSuffix(p.path[strings.LastIndex(p.path, ".")+1:], "s[]")
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an " + word
	}
	return "a " + word
}

// index lists the places of every key below the top of the file.
func index(root *shape) map[string][]place {
	out := map[string][]place{}
	var visit func(s *shape, path string, above []*shape)
	visit = func(s *shape, path string, above []*shape) {
		if slices.Contains(above, s) || s.component != nil && s.shorthand != nil {
			return // the components of a union that is mostly written short have a place of their own
		}
		above = append(above, s)
		for i := range s.table {
			c := &s.table[i]
			out[c.Name] = append(out[c.Name], place{path, true})
			visit(componentShape(c), below(path, c.Name), above)
		}
		for _, f := range s.fields {
			if path != "" {
				out[f.name] = append(out[f.name], place{path, false})
			}
			if t := nested(f.typ); t != nil && t.Kind() == reflect.Struct {
				here := below(path, f.name)
				if f.typ.Kind() == reflect.Slice {
					here += "[]"
				}
				visit(shapeOf(t), here, above)
			}
		}
	}
	visit(root, "", nil)
	return out
}
