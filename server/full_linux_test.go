package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// TestFullDisk: on a disk that fills up the server says that it is not ready and takes
// nothing; once the engine has stopped, the server ends with an error, so that whoever
// watches it starts it anew. Only root can have such a disk here.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=200m"); err != nil {
		t.Skip("cannot mount a small file system: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	f := config(dir)
	f.MaxStore = 1 << 40
	s := begin(t, f, Options{})
	defer s.close()
	submit(t, s.c, `{"fun": "identity", "args": [1]}`)

	fill, err := os.Create(filepath.Join(dir, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	for some := make([]byte, 1<<20); err == nil; {
		_, err = fill.Write(some)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
	if status, _, body := s.ask(t, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, "full") {
		t.Errorf("readiness: %d %s", status, body)
	}
	s.fault(t, 507, "POST", "/v1/jobs", `{"fun": "identity", "args": [1]}`)

	ended := make(chan error, 1)
	go func() { ended <- s.Wait() }()
	for begun := time.Now(); ; {
		_, err := s.broker.Write(t.Context(), broker.Write{Subject: "rp.c.x", Data: bytes.Repeat([]byte("x"), 64<<10), Any: true})
		if err != nil {
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatal("a full disk takes records for a minute")
		}
	}
	select {
	case err := <-ended:
		if !errors.Is(err, broker.ErrFull) || !strings.Contains(err.Error(), dir) {
			t.Errorf("it ended with: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the engine has stopped, and the server has not")
	}
}
