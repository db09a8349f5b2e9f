// Package configs PENDING DOC
package configs

import "time"

// Problem is one finding of a check.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0 where it has no place
	Column  int    `json:"column"` // from 1
	Path    string `json:"path"`   // such as stages[2].map.fun
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Warning bool   `json:"warning,omitempty"`
}

// Problems are all findings, in the order of the file.
type Problems []Problem

// Position is where a value stands in its file. A struct field of this type
// tagged yaml:",position" receives the place of its mapping.
type Position struct{ Line, Column int }

// Size is a number of bytes, written 16MiB, 1.5GB or 4096.
type Size int64

// Duration is a time span, written 500ms, 5s or 1h30m.
type Duration time.Duration

// Secret is a string that never prints.
type Secret string

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
type Union interface{ Components() Table }

// Checker is implemented by config structs with rules that tags cannot say. It
// runs after decoding and defaults, has no side effects, and reports every
// problem. Field is the yaml name of one of the struct's own fields ("" is the
// struct itself).
type Checker interface {
	Check(report func(field, message, hint string))
}

// Warner is like Checker, for what is legal but likely wrong.
type Warner interface {
	Warn(report func(field, message, hint string))
}
