package configs

import (
	"strconv"
	"strings"
)

// Document is a parsed file with its variables expanded, ready for [Decode].
type Document struct {
	text   *source
	root   *node
	places map[string]Position // by path; Decode adds to it
}

// Name is the file name given to Parse.
func (d *Document) Name() string { return d.text.name }

// Place returns where the value at a path such as stages[2].map.fun stands, or
// the nearest thing around it that has a place. It knows what Decode has seen.
func (d *Document) Place(path string) Position {
	for {
		if at, ok := d.places[path]; ok {
			return at
		}
		if path == "" {
			return Position{1, 1}
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// Problem makes an error about the value at a path, for rules that only whoever
// decoded the document can check.
func (d *Document) Problem(path, message, hint string) Problem {
	return d.text.problem(d.Place(path), path, message, hint)
}

// node is a value of the file: aliases and merge keys are resolved, variables
// expanded. Aliased values share one node.
type node struct {
	kind    kind
	text    string // of a scalar
	tag     string // YAML's idea of a scalar's type, such as !!int; "" after an expansion
	quoted  bool   // the scalar was written in quotes or as a block
	bad     bool   // already reported; its value means nothing
	at, end Position
	items   []*node
	entries []entry
	again   []entry // keys that were given before, for keeping secrets hidden
}

type entry struct {
	key   string
	at    Position
	value *node
}

type kind int

const (
	null kind = iota
	scalar
	list
	mapping
)

// String describes the node without its value, which may be a secret.
func (n *node) String() string {
	return [...]string{null: "nothing", scalar: "a single value", list: "a list", mapping: "a mapping"}[n.kind]
}

// shown is a scalar's text as messages quote it.
func (n *node) shown() string {
	const most = 60
	if text := []rune(n.text); len(text) > most {
		return strconv.Quote(string(text[:most])) + "…"
	}
	return strconv.Quote(n.text)
}

// below is the path of a key. Keys that would be mistaken for more of the path
// are quoted.
func below(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[] \"") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }
