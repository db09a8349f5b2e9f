//go:build unix

package rpool

import (
	"crypto/rand"
	_ "embed"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

//go:embed boot.R
var bootScript []byte

//go:embed worker.R
var workerScript []byte

//go:embed http.R
var httpScript []byte

//go:embed template.R
var templateScript []byte

// home is the private directory of one launched environment: its R scripts, and
// for each process a directory with its FIFOs and its TMPDIR. Nobody but us and
// the user that R runs as may look into it.
type home struct {
	dir  string
	hold *os.File            // dir, under a lock
	cred *syscall.Credential // nil: R runs as we do
	vars []string            // HOME, USER and LOGNAME of that user
}

func newHome(runAs string) (*home, error) {
	h := &home{}
	if err := h.become(runAs); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rpipe-") // mode 0700
	if err != nil {
		return nil, err
	}
	h.dir = dir
	// What cleans /tmp of old files passes over a directory that is locked, tmpfiles.d(5);
	// where it cannot be, it is as it would be without.
	if h.hold, err = os.Open(dir); err == nil {
		unix.Flock(int(h.hold.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	}
	if err := theGuard.addDir(dir); err != nil {
		h.remove()
		return nil, err
	}
	for name, script := range map[string][]byte{
		"boot.R": bootScript, "worker.R": workerScript, "http.R": httpScript, "task.R": taskScript, "template.R": templateScript,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), script, 0o600); err != nil {
			h.remove()
			return nil, err
		}
		if err := h.give(filepath.Join(dir, name)); err != nil {
			h.remove()
			return nil, err
		}
	}
	if err := h.give(dir); err != nil {
		h.remove()
		return nil, err
	}
	return h, nil
}

// become looks up the user, by name or uid, that R shall run as.
func (h *home) become(runAs string) error {
	if runAs == "" {
		return nil
	}
	u, err := user.Lookup(runAs)
	if err != nil {
		if _, numeric := strconv.Atoi(runAs); numeric != nil {
			return err
		}
		if u, err = user.LookupId(runAs); err != nil {
			return err
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	if int(uid) == os.Geteuid() {
		return nil
	}
	h.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	h.vars = []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username}
	return nil
}

// give makes path belong to the user that R runs as.
func (h *home) give(path string) error {
	if h.cred == nil {
		return nil
	}
	return os.Chown(path, int(h.cred.Uid), int(h.cred.Gid))
}

// room makes the directory of one process with a directory for temporary files
// and the two FIFOs of its link.
func (h *home) room(name string, limit int64) (dir string, l *link, err error) {
	dir = filepath.Join(h.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", nil, err
	}
	tmp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return "", nil, err
	}
	if l, err = newLink(dir, limit); err != nil {
		return "", nil, err
	}
	for _, path := range []string{dir, tmp, filepath.Join(dir, "in"), filepath.Join(dir, "out")} {
		if err := h.give(path); err != nil {
			l.close()
			return "", nil, err
		}
	}
	return dir, l, nil
}

func (h *home) remove() {
	if h.dir == "" {
		return
	}
	os.RemoveAll(h.dir)
	h.hold.Close()
	theGuard.removeDir(h.dir)
}

// newNonce is what an R process repeats in its hello.
func newNonce() string {
	var b [16]byte
	rand.Read(b[:])
	return fmt.Sprintf("%x", b)
}
