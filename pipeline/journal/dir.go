package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/internal/durable"
	"github.com/rpipe-dev/rpipe/internal/filelock"
	"github.com/rpipe-dev/rpipe/store"
)

// Dir is the place of one pipeline's state. Nothing is made before the first
// write.
type Dir struct {
	path string         // local; "" on S3
	at   store.Location // on S3
	s3   *store.Client
	etag map[string]string // on S3: of each name as this process knows it; "" is absent
	lock *os.File
}

// ErrFenced says that another process has gone on with this run: this one may
// commit nothing more.
var ErrFenced = errors.New("another process has taken over this run")

// ErrLocked says that another process works on this pipeline's state.
var ErrLocked = errors.New("another run of this pipeline is working")

// Open names the state of a pipeline: a directory of its name in place, which is
// a local directory or s3://bucket/prefix.
func Open(place, pipeline string, s3 *store.Client) (*Dir, error) {
	name := url.PathEscape(pipeline)
	if strings.Trim(name, ".") == "" {
		name = "_" + name
	}
	if !store.IsURL(place) {
		return &Dir{path: filepath.Join(place, name)}, nil
	}
	at, err := store.Parse(strings.TrimSuffix(place, "/") + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	return &Dir{at: at, s3: s3, etag: map[string]string{}}, nil
}

// Path is the directory as a user finds it.
func (d *Dir) Path() string {
	if d.s3 != nil {
		return d.at.String()
	}
	return d.path
}

func (d *Dir) show(name string) string { return strings.TrimSuffix(d.Path(), "/") + "/" + name }

// Spool is the directory of a stage's spool, as a sink takes it.
func (d *Dir) Spool(stage string) string {
	return d.show("spool/" + url.PathEscape(stage) + "/")
}

// mostTries are those of Lock at a directory that others remove: more and it is no race.
const mostTries = 1000

// Lock keeps other processes of this machine, or of those that share the disk,
// away until Unlock. On S3 it does nothing: there the conditions of a commit do.
func (d *Dir) Lock() error {
	if d.s3 != nil || d.lock != nil {
		return nil
	}
	name := filepath.Join(d.path, "lock")
	waited := false
	for tries := 1; ; tries++ {
		err := os.MkdirAll(d.path, 0o700)
		var f *os.File
		if err == nil {
			f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		}
		if err != nil {
			// Who lets go removes the directory, too.
			if tries < mostTries && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist)) {
				continue
			}
			return failed("lock", d.path, err)
		}
		if err := filelock.Take(f); err != nil && !errors.Is(err, filelock.ErrNone) {
			f.Close()
			if !errors.Is(err, filelock.ErrBusy) {
				return failed("lock", d.path, err)
			}
			if !waited {
				// Locked of another process may have it for a moment: flock has no
				// way to ask without taking, and no event tells when it is free.
				waited = true
				time.Sleep(10 * time.Millisecond)
				continue
			}
			return failed("lock", d.path, ErrLocked)
		}
		// Who lets go removes the file first: ours may no longer be the one that others see.
		mine, err := f.Stat()
		there, statErr := os.Stat(name)
		if err == nil && statErr == nil && os.SameFile(mine, there) {
			d.lock = f
			return nil
		}
		f.Close()
		if err == nil && statErr != nil && !errors.Is(statErr, fs.ErrNotExist) {
			err = statErr
		}
		if err != nil {
			return failed("lock", d.path, err)
		}
	}
}

// Locked reports whether another process has the lock. It is false on S3, where
// nobody can know.
func (d *Dir) Locked() bool {
	if d.s3 != nil || d.lock != nil {
		return false
	}
	f, err := os.Open(filepath.Join(d.path, "lock"))
	if err != nil {
		return false
	}
	defer f.Close() // which gives the lock back
	return errors.Is(filelock.Take(f), filelock.ErrBusy)
}

// Unlock lets others in, and removes the directory where nothing is in it.
func (d *Dir) Unlock() {
	if d.lock == nil {
		return
	}
	entries, err := os.ReadDir(d.path)
	if err == nil && len(entries) == 1 {
		os.Remove(filepath.Join(d.path, "lock"))
	}
	d.lock.Close()
	d.lock = nil
	if os.Remove(d.path) == nil {
		os.Remove(filepath.Dir(d.path)) // .rpipe, where this was all
	}
}

// read is a file's content; nil where there is none.
func (d *Dir) read(ctx context.Context, name string) ([]byte, error) {
	if d.s3 != nil {
		return d.readObject(ctx, name)
	}
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, failed("read", d.show(name), err)
}

func (d *Dir) write(ctx context.Context, name string, data []byte) error {
	if d.s3 != nil {
		return d.writeObject(ctx, name, data)
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return failed("make directory", d.path, err)
	}
	return failed("write", d.show(name), replaceFile(filepath.Join(d.path, name), data))
}

// replaceFile replaces a file at once or not at all, on stable storage.
func replaceFile(path string, data []byte) error {
	temp := path + ".tmp"
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		os.Remove(temp)
		return err
	}
	return syncDirs(filepath.Dir(path))
}

// syncDirs forces the names in a directory, and its own name, to stable storage.
func syncDirs(dir string) error {
	for _, d := range []string{dir, filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		if err := durable.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

func (d *Dir) remove(ctx context.Context, name string) error {
	if d.s3 != nil {
		return d.removeObject(ctx, name)
	}
	err := os.Remove(filepath.Join(d.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failed("remove", d.show(name), err)
}

func (d *Dir) removeSpool(ctx context.Context) error {
	if d.s3 != nil {
		return d.removeObjects(ctx, "spool/")
	}
	return failed("remove", d.show("spool"), os.RemoveAll(filepath.Join(d.path, "spool")))
}

// Writable reports whether the state could be written, without writing anything.
func (d *Dir) Writable() error {
	if d.s3 != nil {
		return nil
	}
	for at := d.path; ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil {
			return failed("write to", at, mayWrite(at))
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return failed("write to", at, err)
		}
	}
}

func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, ErrLocked) {
		return fmt.Errorf("state: %s: %w; wait until it is done, or stop it", path, err)
	}
	return fmt.Errorf("state: %s %s: %w; state: names another place, commit: none does without", op, path, err)
}
