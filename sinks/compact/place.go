package compact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// place is where an output is read from: a directory or a prefix on S3. Paths
// are relative to it and slash-separated. Several goroutines may use it.
type place interface {
	// manifest reads the manifest; nil says that there is none.
	manifest(ctx context.Context) ([]byte, error)
	// list finds the visible Parquet files, and of other data files one.
	list(ctx context.Context) (found []listed, other string, err error)
	// open opens a file at random.
	open(ctx context.Context, path string) (*random, error)
	// full is the path as sources take it.
	full(path string) string
}

type listed struct {
	path  string
	bytes int64
}

// random is an open file.
type random struct {
	io.ReaderAt
	size  int64
	close func() error
}

func placeOf(env *stages.Env, path string) (place, error) {
	if !store.IsURL(path) {
		d := path
		if !filepath.IsAbs(d) {
			d = filepath.Join(env.Dir, d)
		}
		return newLocal(d)
	}
	if env.S3 == nil {
		return nil, errors.New("no S3 client is set up")
	}
	l, err := store.Parse(strings.TrimRight(path, "/") + "/")
	if err != nil {
		return nil, err
	}
	return &objects{client: env.S3, prefix: l}, nil
}

// local is a directory, by its real path.
type local struct{ dir string }

func newLocal(dir string) (*local, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{Err: errors.New("there is no such directory")}
	case err != nil:
		return nil, cause(err)
	case !info.IsDir():
		return nil, &Error{Err: errors.New("it is one file, and compaction is for directories of files")}
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, cause(err)
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, err
	}
	return &local{real}, nil
}

func (l *local) full(path string) string { return filepath.Join(l.dir, filepath.FromSlash(path)) }

func (l *local) manifest(context.Context) ([]byte, error) {
	b, err := os.ReadFile(l.full(partition.Manifest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, cause(err)
}

func (l *local) list(ctx context.Context) (found []listed, other string, err error) {
	err = filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || path == l.dir {
			return err
		}
		hidden := isHidden(d.Name())
		if d.IsDir() {
			if hidden && !strings.Contains(d.Name(), "=") {
				return filepath.SkipDir
			}
			return nil
		}
		if hidden {
			return nil
		}
		rel, err := filepath.Rel(l.dir, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !isParquet(rel) {
			other = rel
			return nil
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() {
			found = append(found, listed{rel, info.Size()})
		}
		return err
	})
	return found, other, cause(err)
}

func (l *local) open(_ context.Context, path string) (*random, error) {
	return openLocal(l.full(path))
}

func openLocal(path string) (*random, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, cause(err)
	}
	return &random{f, info.Size(), f.Close}, nil
}

func isHidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

func isParquet(name string) bool {
	return strings.HasSuffix(name, ".parquet") || strings.HasSuffix(name, ".parq") || strings.HasSuffix(name, ".pq")
}

// cause takes the path off an error of the file system: messages name their own.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// objects is a prefix on S3.
type objects struct {
	client *store.Client
	prefix store.Location
}

func (p *objects) at(path string) store.Location {
	return store.Location{Bucket: p.prefix.Bucket, Key: p.prefix.Key + path}
}

func (p *objects) full(path string) string { return p.at(path).String() }

// manifestLimit bounds what is read of an object called _manifest.json.
const manifestLimit = 256 << 20

func (p *objects) manifest(ctx context.Context) ([]byte, error) {
	b, _, err := p.client.Get(ctx, p.at(partition.Manifest), manifestLimit)
	if errors.Is(err, store.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

func (p *objects) list(ctx context.Context) (found []listed, other string, err error) {
	for o, err := range p.client.List(ctx, p.prefix) {
		if err != nil {
			return nil, "", err
		}
		rel := strings.TrimPrefix(o.Key, p.prefix.Key)
		switch {
		case rel == "" || strings.HasSuffix(rel, "/") || hiddenPath(rel):
		case isParquet(rel):
			found = append(found, listed{rel, o.Size})
		default:
			other = rel
		}
	}
	return found, other, nil
}

// hiddenPath is what walking a directory leaves out.
func hiddenPath(rel string) bool {
	segments := strings.Split(rel, "/")
	for i, s := range segments {
		if isHidden(s) && (i == len(segments)-1 || !strings.Contains(s, "=")) {
			return true
		}
	}
	return false
}

func (p *objects) open(ctx context.Context, path string) (*random, error) {
	o, err := p.client.Stat(ctx, p.at(path))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &random{p.client.ReaderAt(ctx, o), o.Size, func() error { return nil }}, nil
}
