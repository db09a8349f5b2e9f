package sources

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// noSuchFile says that there is no such file, and what is there.
func noSuchFile(pattern, full string) error {
	dir := filepath.Dir(full)
	for {
		entries, err := os.ReadDir(dir)
		if err == nil {
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if near := nearest(filepath.Base(full), names); len(near) > 0 {
				return fmt.Errorf("read %s: no such file; did you mean %s in %s?", pattern, strings.Join(near, ", "), dir)
			}
			return fmt.Errorf("read %s: no such file in %s", pattern, dir)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return fmt.Errorf("read %s: no such file", pattern)
		}
		full, dir = dir, parent
	}
}

// nearest gives up to three of names that are likely meant by name, best first.
func nearest(name string, names []string) []string {
	type near struct {
		name     string
		distance int
	}
	limit := min(len(name)/3+1, len(name)-1)
	var found []near
	for _, n := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= limit {
			found = append(found, near{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b near) int { return a.distance - b.distance })
	var out []string
	for _, f := range found[:min(3, len(found))] {
		out = append(out, f.name)
	}
	return out
}

// distance is the number of letters to insert, delete or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
