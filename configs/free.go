package configs

import (
	"math"
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
	if x, err := strconv.ParseFloat(n.text, 64); err == nil && strings.Trim(n.text, "0123456789.eE+-") == "" {
		return x
	}
	switch n.text {
	case "true":
		return true
	case "false":
		return false
	case ".inf", "+.inf":
		return math.Inf(1)
	case "-.inf":
		return math.Inf(-1)
	case ".nan":
		return math.NaN()
	}
	return n.text
}

// freeNumber writes a number so that guess gives it back, a float too.
func freeNumber(x float64) string {
	switch {
	case math.IsNaN(x):
		return ".nan"
	case math.IsInf(x, 1):
		return ".inf"
	case math.IsInf(x, -1):
		return "-.inf"
	case x == math.Trunc(x) && math.Abs(x) < 1<<63:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}
