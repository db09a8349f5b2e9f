package sources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// Paths is one path or a list of paths. Each may be a glob, and each may be on
// S3: s3://bucket/key.
type Paths []string

// search is what a source of files asks for.
type search struct {
	paths      Paths
	suffixes   []string // of the files that a directory stands for
	partitions string   // auto or off
	manifest   string   // auto or off
}

// found are the files of an input, and where reading them begins. Readers of
// files embed it.
type found struct {
	files []file
	at    position
	dirs  *directories
}

// find finds the files that paths name. A file stands where its pattern stands;
// the matches of one glob or directory are sorted. A directory means the files
// in it, at any depth, whose name ends in one of the suffixes.
func find(ctx context.Context, env *stages.Env, from string, s search) (*found, error) {
	in := &found{}
	if len(s.paths) == 0 {
		return nil, errors.New("path: no file is named")
	}
	for _, pattern := range s.paths {
		files, err := s.match(ctx, env, pattern)
		if err != nil {
			return nil, err
		}
		in.files = append(in.files, files...)
	}
	if len(in.files) > 1 && slices.ContainsFunc(in.files, func(f file) bool { return f.opener == standard{} }) {
		return nil, errors.New(`path: "-" (standard input) cannot be one of several files`)
	}
	in.dirs = directoriesOf(in.files, s.partitions, env.Log)
	var err error
	in.at, err = parsePosition(from, in.files)
	return in, err
}

// Size is the bytes of all files.
func (f *found) Size() (s Size) {
	for _, file := range f.files {
		s.Bytes += file.size
	}
	return s
}

// Traits says that files can be read again, which standard input and pipes cannot.
func (f *found) Traits() Traits {
	again := !slices.ContainsFunc(f.files, func(f file) bool { return f.version() == "" })
	return Traits{Ordered: again, Replayable: again}
}

// Identity names the files and their versions.
func (f *found) Identity() map[string]string {
	versions := map[string]string{}
	for _, file := range f.files {
		versions[file.name] = file.version()
	}
	return versions
}

func (s *search) match(ctx context.Context, env *stages.Env, pattern string) ([]file, error) {
	switch {
	case pattern == "-":
		return []file{{opener: standard{}, name: "standard input"}}, nil
	case store.IsURL(pattern):
		return s.matchObjects(ctx, env, pattern)
	}
	return s.matchLocal(ctx, env, pattern)
}

func (s *search) matchLocal(ctx context.Context, env *stages.Env, pattern string) ([]file, error) {
	full := pattern
	if !filepath.IsAbs(full) {
		full = filepath.Join(env.Dir, full)
	}
	info, err := os.Stat(full)
	switch {
	case err == nil && info.IsDir():
		prefix := strings.TrimSuffix(filepath.ToSlash(pattern), "/") + "/"
		return s.directory(ctx, env, pattern, &root{place: localDirectory{full, prefix}})
	case err == nil:
		return []file{local(full, pattern, info)}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read %s: %w", pattern, cause(err))
	case !isGlob(pattern):
		return nil, noSuchFile(pattern, full)
	}
	g, err := parseGlob(filepath.ToSlash(pattern))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pattern, err)
	}
	top := filepath.FromSlash(g.top)
	if !filepath.IsAbs(top) {
		top = filepath.Join(env.Dir, top)
	}
	if _, err := os.Stat(top); err != nil {
		return nil, noSuchFile(pattern, filepath.Clean(top))
	}
	return s.glob(ctx, pattern, g, &root{place: localDirectory{top, g.top}})
}

// directory gives the files of a directory: those that its manifest names, if
// it has one.
func (s *search) directory(ctx context.Context, env *stages.Env, pattern string, r *root) ([]file, error) {
	files, err := r.list(ctx, s, env.Log, pattern)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no file in this directory ends in %s", strings.Join(s.suffixes, " or "))
		if r.manifest != nil {
			err = fmt.Errorf("its %s names no file that ends in %s", manifestName, strings.Join(s.suffixes, " or "))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pattern, err)
	}
	return files, nil
}

// wanted reports whether a file of a directory is one of the source's.
func (s *search) wanted(rel string) bool {
	return slices.ContainsFunc(s.suffixes, func(suffix string) bool { return strings.HasSuffix(rel, suffix) })
}

// glob gives the files that match, in a manifest or not: who writes a pattern
// says which files.
func (s *search) glob(ctx context.Context, pattern string, g *glob, r *root) ([]file, error) {
	files, err := r.files(ctx, g.literal, g.match)
	if err == nil && len(files) == 0 {
		err = errors.New("no file matches")
	}
	if err == nil && s.manifest != "off" {
		err = r.load(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pattern, err)
	}
	return files, nil
}

// root is a directory that was searched.
type root struct {
	place
	manifest *manifest // nil where there is none, or none that is ours
}

// place is a directory on disk or a prefix on S3.
type place interface {
	// walk gives the files below it whose path is wanted and begins with literal,
	// sorted by name. Hidden files and those that begin with an underscore are
	// metadata or not finished, and are left out; such directories too, unless
	// they are the partitions of a column of that name.
	walk(ctx context.Context, literal string, want func(rel string) bool) ([]file, error)
	// read reads a small file in it; nil where there is none.
	read(ctx context.Context, name string) ([]byte, error)
}

func (r *root) files(ctx context.Context, literal string, want func(rel string) bool) ([]file, error) {
	files, err := r.walk(ctx, literal, want)
	for i := range files {
		files[i].root = r
	}
	return files, err
}

// hidden reports whether a file, or a directory, is none that walk looks at.
func hidden(name string, isDir bool) bool {
	return (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) && !(isDir && strings.Contains(name, "="))
}

// localDirectory is a directory on disk; prefix is what it adds to names.
type localDirectory struct{ path, prefix string }

func (d localDirectory) walk(ctx context.Context, _ string, want func(rel string) bool) ([]file, error) {
	var files []file
	err := filepath.WalkDir(d.path, func(path string, e fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || path == d.path {
			return err
		}
		switch {
		case !hidden(e.Name(), e.IsDir()):
		case e.IsDir():
			return filepath.SkipDir
		default:
			return nil
		}
		rel, err := filepath.Rel(d.path, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if e.IsDir() || !want(rel) {
			return nil
		}
		info, err := os.Stat(path) // follows links
		if err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			f := local(path, d.prefix+rel, info)
			f.rel = rel
			files = append(files, f)
		}
		return nil
	})
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, err
}

func (d localDirectory) read(_ context.Context, name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, cause(err)
}
