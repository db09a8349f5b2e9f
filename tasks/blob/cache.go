package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/internal/filelock"
)

// defaultMaxCache is the default of Options.MaxCache, in bytes.
const defaultMaxCache = 4 << 30

// A cache is a directory of files named after their content, which several processes
// may use at once. Whoever uses a file shares its lock; whoever removes it takes that
// lock before, and nobody replaces it. Files get their names when they are complete;
// temporary ones are locked by those who write them, so that those of the dead can be
// told.
type cache struct {
	dir       string
	temporary bool // close removes it
	max       int64

	mu      sync.Mutex
	entries map[string]*entry
	trusted map[string]os.FileInfo // files that have been compared with their names
	size    int64                  // bytes: of the last look, and of what has been added since
	work    sync.WaitGroup         // of entries
}

// An entry is a file that somebody in this process wants or has.
type entry struct {
	users  int
	cancel context.CancelFunc // of the search for it
	done   chan struct{}      // closed when file or err is set
	file   *os.File           // its lock is shared
	err    error
}

func openCache(dir string, limit int64) (*cache, error) {
	c := &cache{dir: dir, max: limit, entries: map[string]*entry{}, trusted: map[string]os.FileInfo{}}
	if c.max <= 0 {
		c.max = defaultMaxCache
	}
	if dir == "" {
		var err error
		if c.dir, err = os.MkdirTemp("", "rpipe-blobs-"); err != nil {
			return nil, err
		}
		c.temporary = true
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c.sweep()
	return c, nil
}

func (c *cache) close() error {
	c.work.Wait()
	if c.temporary {
		return os.RemoveAll(c.dir)
	}
	return nil
}

func (c *cache) path(ref string) string { return filepath.Join(c.dir, ref) }

// open is the file of ref, or nil where there is none that is right.
func (c *cache) open(ref string) *os.File {
	for {
		f, err := os.Open(c.path(ref))
		if err != nil {
			return nil
		}
		if err := filelock.Share(f); err != nil && !errors.Is(err, filelock.ErrNone) {
			f.Close() // it is about to be removed
			return nil
		}
		mine, err := f.Stat()
		if err != nil {
			f.Close()
			return nil
		}
		if there, err := os.Stat(c.path(ref)); err != nil || !os.SameFile(mine, there) {
			f.Close() // it was removed before we had the lock; another may be there
			if err != nil {
				return nil
			}
			continue
		}
		if !c.right(f, mine, ref) {
			if err := filelock.Take(f); err == nil || errors.Is(err, filelock.ErrNone) {
				os.Remove(c.path(ref))
			}
			f.Close()
			return nil
		}
		now := time.Now()
		_ = os.Chtimes(c.path(ref), now, now) // else it goes sooner
		return f
	}
}

// right compares a file with its name, once in this process.
func (c *cache) right(f *os.File, info os.FileInfo, ref string) bool {
	c.mu.Lock()
	before, ok := c.trusted[ref]
	c.mu.Unlock()
	if ok && os.SameFile(before, info) && before.Size() == info.Size() {
		return true
	}
	sum, _, err := digest(f)
	if err != nil || sum != ref {
		return false
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false
	}
	c.trust(ref, info)
	return true
}

func (c *cache) trust(ref string, info os.FileInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.trusted) > 100_000 {
		clear(c.trusted)
	}
	c.trusted[ref] = info
}

// hold is the path of a file that stays until it is released. Where there is none yet
// fetch writes it, once for all who ask meanwhile, and until none of them does.
func (c *cache) hold(ctx context.Context, ref string, fetch fetch) (path string, release func(), err error) {
	c.mu.Lock()
	e := c.entries[ref]
	if e == nil {
		search, cancel := context.WithCancel(context.WithoutCancel(ctx))
		e = &entry{cancel: cancel, done: make(chan struct{})}
		c.entries[ref] = e
		c.work.Go(func() { c.provide(search, ref, e, fetch) })
	}
	e.users++
	c.mu.Unlock()

	select {
	case <-e.done:
	case <-ctx.Done():
		c.leave(ref, e)
		return "", nil, context.Cause(ctx)
	}
	if e.err != nil {
		c.leave(ref, e)
		return "", nil, e.err
	}
	return c.path(ref), sync.OnceFunc(func() { c.leave(ref, e) }), nil
}

type fetch func(ctx context.Context, ref string, w io.Writer) error

// provide finds or fetches the file of an entry.
func (c *cache) provide(ctx context.Context, ref string, e *entry, fetch fetch) {
	defer e.cancel()
	f := c.open(ref)
	var err error
	if f == nil {
		f, err = c.fetched(ctx, ref, fetch)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.file, e.err = f, err
	close(e.done)
	if err != nil && c.entries[ref] == e {
		delete(c.entries, ref) // who asks next tries again
	}
	if e.users == 0 && f != nil {
		f.Close()
	}
}

// leave counts one user less. The file of nobody is unlocked, and may be evicted.
func (c *cache) leave(ref string, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.users--; e.users > 0 {
		return
	}
	if c.entries[ref] == e {
		delete(c.entries, ref)
	}
	select {
	case <-e.done:
		if e.file != nil {
			e.file.Close()
		}
	default:
		e.cancel() // provide closes it
	}
}

// fetched writes the file of ref and returns it, its lock shared.
func (c *cache) fetched(ctx context.Context, ref string, fetch fetch) (*os.File, error) {
	temp, err := c.create()
	if err != nil {
		return nil, err
	}
	defer temp.discard()
	if err := fetch(ctx, ref, temp); err != nil {
		return nil, err
	}
	for pause := time.Millisecond; pause < 10*time.Second; pause *= 2 {
		err := c.keep(temp, ref)
		if err == nil {
			f := temp.File
			temp.File = nil
			return f, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("keep in the cache: %w", err)
		}
		// Another process was faster. There is a moment in which nobody has a lock of
		// a file and one in which it is being removed; both pass by themselves.
		if f := c.open(ref); f != nil {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
	}
	return nil, fmt.Errorf("the cache has a file %s that is spoiled, and in use: remove it", c.path(ref))
}
