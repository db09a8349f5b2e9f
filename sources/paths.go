package sources

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Paths is one path or a list of paths. Each may be a glob.
type Paths []string

// file is one input file: where it is, and what messages call it.
type file struct {
	path string // "-" is standard input
	name string // as the user wrote it, or found under it
	size int64  // bytes on disk; 0 where it is not a regular file
	root string // the directory that was searched; "" where the file itself was named
	rel  string // its path below root, with slashes
}

// list finds the files that paths name, relative to dir. A file stands where
// its pattern stands; the matches of one glob or directory are sorted. A
// directory means the files in it, at any depth, whose name ends in one of
// suffixes.
func (p Paths) list(dir string, suffixes ...string) ([]file, error) {
	if len(p) == 0 {
		return nil, errors.New("path: no file is named")
	}
	var files []file
	for _, pattern := range p {
		found, err := match(dir, pattern, suffixes)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	if len(files) > 1 && slices.ContainsFunc(files, func(f file) bool { return f.path == "-" }) {
		return nil, errors.New(`path: "-" (standard input) cannot be one of several files`)
	}
	return files, nil
}

func match(dir, pattern string, suffixes []string) ([]file, error) {
	if pattern == "-" {
		return []file{{path: "-", name: "standard input"}}, nil
	}
	full := pattern
	if !filepath.IsAbs(full) {
		full = filepath.Join(dir, full)
	}
	info, err := os.Stat(full)
	switch {
	case err == nil && info.IsDir():
		prefix := strings.TrimSuffix(filepath.ToSlash(pattern), "/") + "/"
		files, err := walk(full, prefix, func(rel string) bool {
			return slices.ContainsFunc(suffixes, func(s string) bool { return strings.HasSuffix(rel, s) })
		})
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("no file in this directory ends in %s", strings.Join(suffixes, " or "))
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", pattern, err)
		}
		return files, nil
	case err == nil:
		f := file{path: full, name: pattern}
		if info.Mode().IsRegular() {
			f.size = info.Size()
		}
		return []file{f}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s: %w", pattern, errors.Unwrap(err))
	case !strings.ContainsAny(pattern, "*?["):
		return nil, noSuchFile(pattern, full)
	}

	// The walk starts at the part before the first wildcard.
	segments := strings.Split(filepath.ToSlash(pattern), "/")
	fixed := slices.IndexFunc(segments, func(s string) bool { return strings.ContainsAny(s, "*?[") })
	prefix := ""
	if fixed > 0 {
		prefix = strings.Join(segments[:fixed], "/") + "/"
	}
	root := filepath.FromSlash(prefix)
	if !filepath.IsAbs(root) {
		root = filepath.Join(dir, root)
	}
	if _, err := os.Stat(root); err != nil {
		return nil, noSuchFile(pattern, filepath.Clean(root))
	}
	glob := segments[fixed:]
	if err := validGlob(glob); err != nil {
		return nil, fmt.Errorf("read %s: %w", pattern, err)
	}
	files, err := walk(root, prefix, func(rel string) bool { return globMatch(glob, strings.Split(rel, "/")) })
	if err == nil && len(files) == 0 {
		err = errors.New("no file matches")
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pattern, err)
	}
	return files, nil
}

// walk finds the regular files below root whose path there is wanted; their
// names get the prefix. Hidden files and those that begin with an underscore
// are metadata or not finished, and are left out; such directories too, unless
// they are the partitions of a column of that name.
func walk(root, prefix string, want func(rel string) bool) ([]file, error) {
	var files []file
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
		switch {
		case hidden && !d.IsDir():
			return nil
		case hidden && !strings.Contains(d.Name(), "="):
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() || !want(rel) {
			return nil
		}
		info, err := os.Stat(path) // follows links
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			files = append(files, file{path: path, name: prefix + rel, size: info.Size(), root: root, rel: rel})
		}
		return nil
	})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, err
}

// validGlob refuses patterns that match nothing by mistake.
func validGlob(segments []string) error {
	for _, s := range segments {
		if _, err := path.Match(s, ""); err != nil {
			return fmt.Errorf("%q is not a pattern: a [ needs its ]", s)
		}
		if s != "**" && strings.Contains(s, "**") {
			return fmt.Errorf("%q is not a pattern: ** stands between slashes, as in data/**/*.csv", s)
		}
	}
	return nil
}

// globMatch reports whether the segments of a path match those of a pattern,
// of which ** is any number.
func globMatch(pattern, segments []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := 0; i <= len(segments); i++ {
				if globMatch(pattern[1:], segments[i:]) {
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
