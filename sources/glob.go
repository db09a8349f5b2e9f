package sources

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// glob is a pattern of slash-separated paths.
type glob struct {
	top      string   // before the first wildcard, up to and with its last slash
	segments []string // of the pattern below top
	literal  string   // what the paths below top begin with
}

func isGlob(pattern string) bool { return strings.ContainsAny(pattern, wildcards) }

const wildcards = "*?["

// parseGlob takes a pattern apart. It refuses those that match nothing by mistake.
func parseGlob(pattern string) (*glob, error) {
	all := strings.Split(pattern, "/")
	fixed := slices.IndexFunc(all, isGlob)
	g := &glob{segments: all[fixed:]}
	if fixed > 0 {
		g.top = strings.Join(all[:fixed], "/") + "/"
	}
	g.literal, _, _ = strings.Cut(g.segments[0], "[")
	g.literal = g.literal[:strings.IndexAny(g.literal+"*", `*?\`)]
	for _, s := range g.segments {
		if _, err := path.Match(s, ""); err != nil {
			return nil, fmt.Errorf("%q is not a pattern: a [ needs its ]", s)
		}
		if s != "**" && strings.Contains(s, "**") {
			return nil, fmt.Errorf("%q is not a pattern: ** stands between slashes, as in data/**/*.csv", s)
		}
	}
	return g, nil
}

// match reports whether a path below top is one of the pattern's.
func (g *glob) match(rel string) bool { return matchSegments(g.segments, strings.Split(rel, "/")) }

// matchSegments matches the segments of a path with those of a pattern, of
// which ** is any number.
func matchSegments(pattern, segments []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := 0; i <= len(segments); i++ {
				if matchSegments(pattern[1:], segments[i:]) {
					return true
				}
			}
			return false
		}
		if len(segments) == 0 {
			return false
		}
		if ok, _ := path.Match(pattern[0], segments[0]); !ok {
			return false
		}
		pattern, segments = pattern[1:], segments[1:]
	}
	return len(segments) == 0
}
