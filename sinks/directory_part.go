package sinks

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/internal/durable"
)

// storage is the file that a part is written to. It is an interface so that
// tests can put a file on a full device in its place.
type storage interface {
	io.WriteCloser
	Sync() error
}

func createFile(path string) (storage, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// tempFile is a part's content under its temporary name.
type tempFile struct {
	storage
	path string
	open bool
}

func (d *directory) begin(p *Part) (body, error) {
	p.Temp = d.temp(path.Base(p.Path))
	f, err := d.create(d.abs(p.Temp))
	if err != nil {
		return nil, failed("create a file in", d.shown, err)
	}
	return &tempFile{storage: f, path: d.abs(p.Temp), open: true}, nil
}

// seal is an fsync: the disk's wait is the same for one as for many.
func (t *tempFile) seal(*Part) error {
	err := t.Sync()
	t.open = false
	if e := t.Close(); err == nil {
		err = e // NFS tells of a full disk here
	}
	return err
}

func (t *tempFile) held() int64 { return 0 }

func (t *tempFile) discard(context.Context) {
	if t.open {
		t.Close()
		t.open = false
	}
	os.Remove(t.path)
}

// settle forces the temporary names to disk, and that of the directory itself.
func (d *directory) settle(parts []Part) error {
	dirs := map[string]bool{d.dir: true}
	for _, made := range d.made {
		dirs[filepath.Dir(made)] = true // a new directory is a name in its parent
	}
	err := syncDirs(dirs)
	if err == nil && !d.settled {
		err = d.syncParent()
	}
	if err != nil {
		return failed("write", d.shown, err)
	}
	d.settled = true
	return d.makeDirs(parts)
}

// syncParent forces the directory's name to disk though this run did not make it:
// one that died may have, a moment before a power cut. A parent that this user
// may not read was made long ago, by another.
func (d *directory) syncParent() error {
	err := durable.SyncDir(filepath.Dir(d.dir))
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
