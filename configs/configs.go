// Package configs turns a YAML file into typed configuration and reports every
// problem of it at once, each with its place and a way to mend it.
//
// The structs live with the components they configure. They and their tags are
// the only source of everything said about a key: [Decode] reads and checks it,
// [Normalized] prints it with defaults filled in, [Schema] tells editors about
// it, [Reference] documents it.
//
//	type Retry struct {
//		Max  int      `yaml:"max" default:"5" min:"0" doc:"Attempts after the first."`
//		Wait Duration `yaml:"wait" default:"500ms" doc:"Wait before the first of them."`
//	}
//
// # Tags
//
//   - yaml: the key. Fields without the tag, or with "-", are not configuration.
//     ",inline" takes the keys of an embedded struct as the struct's own; on
//     [Pairs] or a map it takes all keys that no other field has. ",component"
//     marks the field of a [Union] that receives the component. ",position"
//     marks a [Position] that receives the place of the struct.
//   - default: the value of an absent key, written as in YAML.
//   - required:"true": the key must be there, and not be empty.
//   - enum:"a|b": the only values allowed, for strings and lists of strings.
//   - min, max: bounds, both included: of a number, a [Size] or a [Duration]; of
//     the length of a string, list or map.
//   - scalar:"true": on a list, one value may stand in place of a list of one; on
//     [Pairs], names in place of a mapping of each to itself: a list, or one.
//   - doc: a sentence for the reference and for editors; example: a value.
//
// # Types
//
// A field is a string, bool, integer, float, [Size], [Duration], [Secret], any
// [encoding.TextUnmarshaler], a struct, a list, a map with string keys, [Pairs]
// where the order of the keys matters, a pointer to one of these (nil when
// absent), or any (then it holds nil, bool, int64, float64, string, []any or
// [Object]). An absent struct gets its defaults; a required key inside is asked
// for only where the struct is there, and its Checker runs only then.
//
// # Variables
//
// ${name} and ${name:default} are replaced after the YAML was parsed, in values
// and never in keys, and what comes out takes the type of its field: a value
// cannot add keys or change the structure. See [Variables].
//
// Aliases and merge keys work as YAML has them. Keys at the top of a file that
// begin with x- are passed over: a place for what aliases refer to.
package configs

import "reflect"

// Component is one row of a table of components: a source, stage or sink.
type Component struct {
	Name string     // its key in YAML
	Doc  string     // one sentence
	New  func() any // a pointer to its zero config struct, which is also the component
}

// Table lists the components that may stand in one place.
type Table []Component

// Union is implemented (on the value receiver) by a struct with a field tagged
// yaml:",component". One key of its mapping names a component of the table,
// whose config is decoded into that field; the other keys are its other fields.
// A component without a value (a bare "batch:") has its defaults. Where the
// struct is a [Shorthander] too, the field that it names may stand in place of a
// component.
type Union interface{ Components() Table }

// Checker is implemented by config structs with rules that tags cannot say. It
// runs after decoding and defaults, has no side effects, and reports every
// problem. Fields that did not decode have their zero value, a component none.
// Field is the yaml name of one of the struct's own fields ("" is the
// struct itself), or a path below it such as retry.max or columns[1]. Reports on
// a field that already has a problem are dropped.
type Checker interface {
	Check(report func(field, message, hint string))
}

// Warner is like Checker, for what is legal but likely wrong. It runs only where
// the struct has no error.
type Warner interface {
	Warn(report func(field, message, hint string))
}

// Shorthander is implemented by config structs that may be written without
// their keys: anything but a mapping is the value of the field with the yaml
// name that Shorthand returns, so that "filter: x > 1" may stand for
// "filter: {where: x > 1}".
type Shorthander interface{ Shorthand() string }

// find returns the component of that name, or nil.
func (t Table) find(name string) *Component {
	for i := range t {
		if t[i].Name == name {
			return &t[i]
		}
	}
	return nil
}

// NameOf returns the name under which a component, as New makes it, stands in
// the table; "" where it does not.
func (t Table) NameOf(component any) string {
	for _, c := range t {
		if reflect.TypeOf(c.New()) == reflect.TypeOf(component) {
			return c.Name
		}
	}
	return ""
}

// names returns the names in the table's order.
func (t Table) names() []string {
	out := make([]string, len(t))
	for i := range t {
		out[i] = t[i].Name
	}
	return out
}
