package configs

import (
	"strconv"
	"strings"
)

// free gives a node without a type of its own the one that YAML gives it.
func (d *decoder) free(n *node, path string) any {
	if n.bad || !d.afford(n, path) {
		return nil
	}
	switch n.kind {
	case null:
		return nil
	case list:
		out := make([]any, len(n.items))
		for i, it := range n.items {
			out[i] = d.free(it, path)
		}
		return out
	case mapping:
		out := make(Object, len(n.entries))
		for i, e := range n.entries {
			out[i] = Member{e.key, d.free(e.value, path)}
		}
		return out
	}
	return guess(n)
}

// guess gives a scalar the type that it looks like.
func guess(n *node) any {
	if n.quoted || n.tag == "!!str" {
		return n.text
	}
	if x, ok := integer(n.text); ok {
		return x
	}
	if x, err := strconv.ParseFloat(n.text, 64); err == nil && !strings.ContainsAny(n.text, "_xXpP") {
		return x
	}
	switch n.text {
	case "true":
		return true
	case "false":
		return false
	}
	return n.text
}
