package tables

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// format is a kind of file and the source that reads it.
type format struct {
	suffixes []string
	text     bool // may be compressed as a whole
	source   func(sources.Paths) sources.Source
}

var formats = []*format{
	{suffixes: []string{".parquet", ".parq", ".pq"}, source: func(p sources.Paths) sources.Source {
		s := &sources.Parquet{}
		configs.SetDefaults(s)
		s.Path = p
		return s
	}},
	{suffixes: []string{".csv"}, text: true, source: func(p sources.Paths) sources.Source { return delimited(p, ",") }},
	{suffixes: []string{".tsv"}, text: true, source: func(p sources.Paths) sources.Source { return delimited(p, "tab") }},
	{suffixes: []string{".ndjson", ".jsonl"}, text: true, source: func(p sources.Paths) sources.Source {
		s := &sources.NDJSON{}
		configs.SetDefaults(s)
		s.Path = p
		return s
	}},
	{suffixes: []string{".rds"}, source: func(p sources.Paths) sources.Source {
		s := &sources.RDS{}
		configs.SetDefaults(s)
		s.Path = p
		return s
	}},
}

func delimited(p sources.Paths, delimiter string) sources.Source {
	s := &sources.CSV{}
	configs.SetDefaults(s)
	s.Path, s.Delimiter = p, delimiter
	return s
}

var compressed = []string{".gz", ".zst", ".bz2", ".xz"}

// formatOfName is the format that the end of a file's name tells, or nil.
func formatOfName(name string) *format {
	name = strings.ToLower(name)
	for _, f := range formats {
		for _, s := range f.suffixes {
			if strings.HasSuffix(name, s) {
				return f
			}
			for _, c := range compressed {
				if f.text && strings.HasSuffix(name, s+c) {
					return f
				}
			}
		}
	}
	return nil
}

// formatOf is the format that all paths tell; nil where none of them tells
// any, so that they may be directories.
func formatOf(paths sources.Paths) (*format, error) {
	var found *format
	for i, p := range paths {
		p = strings.TrimRight(p, "/")
		f := formatOfName(p)
		switch {
		case f == nil && path.Ext(p) != "" && !strings.ContainsAny(path.Base(p), "*?["):
			return nil, fmt.Errorf("the format of %s cannot be told by its name", p)
		case i > 0 && f != found:
			return nil, fmt.Errorf("%s and %s are not of one format", paths[0], p)
		}
		found = f
	}
	return found, nil
}

// formatInside is the format of the files in directories.
func formatInside(ctx context.Context, env *stages.Env, paths sources.Paths) (*format, error) {
	var found *format
	var first string
	add := func(name string) error {
		f := formatOfName(name)
		switch {
		case f == nil:
		case found == nil:
			found, first = f, name
		case f != found:
			return fmt.Errorf("%s has files of several formats, such as %s and %s: name one as *%s",
				strings.Join(paths, ", "), first, name, f.suffixes[0])
		}
		return nil
	}
	for _, p := range paths {
		if err := eachName(ctx, env, p, add); err != nil {
			return nil, err
		}
	}
	if found == nil {
		var known []string
		for _, f := range formats {
			known = append(known, f.suffixes[0])
		}
		return nil, fmt.Errorf("%s: there is no file whose name ends in one of %s", strings.Join(paths, ", "), strings.Join(known, ", "))
	}
	return found, nil
}

// eachName calls add with the names of the files below a path or pattern, those
// apart that sources pass over: hidden ones and those that begin with _.
func eachName(ctx context.Context, env *stages.Env, pattern string, add func(name string) error) error {
	hidden := func(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }
	fixed := strings.Split(filepath.ToSlash(pattern), "/")
	if i := slices.IndexFunc(fixed, func(s string) bool { return strings.ContainsAny(s, "*?[") }); i >= 0 {
		fixed = fixed[:i]
	}
	root := strings.Join(fixed, "/")
	if store.IsURL(pattern) {
		at, err := store.Parse(root)
		if err != nil {
			return err
		}
		if env.S3 == nil {
			return fmt.Errorf("read %s: this run has no access to S3", pattern)
		}
		for o, err := range env.S3.List(ctx, at) {
			if err != nil {
				return err
			}
			if name := path.Base(o.Key); !hidden(name) {
				if err := add(name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	root = filepath.FromSlash(root)
	if !filepath.IsAbs(root) {
		root = filepath.Join(env.Dir, root)
	}
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read %s: %w", pattern, pathless(err))
		case d.IsDir() && p != root && hidden(d.Name()) && !strings.Contains(d.Name(), "="):
			return filepath.SkipDir
		case d.IsDir() || hidden(d.Name()):
			return nil
		}
		return add(d.Name())
	})
}

// pathless strips the path that package os adds: our messages have it already.
func pathless(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
