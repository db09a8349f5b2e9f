package server

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// TestFullDisk: on a disk that fills up the server says that it is not ready, takes
// nothing, and keeps what it has; with room again it takes what comes. Once the engine has stopped, the server ends with an error, so that whoever
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
	before := submit(t, s.c, `{"fun": "identity", "args": [1]}`)

	fill := filepath.Join(dir, "fill")
	fillUp(t, fill)
	if status, _, body := s.ask(t, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, "full") {
		t.Errorf("readiness: %d %s", status, body)
	}
	if f := s.fault(t, 507, "POST", "/v1/jobs", `{"fun": "identity", "args": [2]}`); f.Code != "store_full" {
		t.Errorf("%+v", f)
	}
	for _, r := range api.Routes { // what makes new records says so
		if writes := []string{"submitJob", "retryJob", "resumeJob", "retryTask", "retry", "setEnvironment", "putValue"}; slices.Contains(writes, r.Op) != slices.Contains(r.Faults, 507) {
			t.Errorf("%s: %v", r.Op, r.Faults)
		}
	}
	if kept, err := s.c.Task(t.Context(), before.ID+".1"); err != nil || kept.State != "PENDING" {
		t.Errorf("what was there before: %+v, %v", kept, err)
	}

	// With room again it goes on by itself.
	if err := os.Remove(fill); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { status, _, _ := s.ask(t, "GET", "/readyz", ""); return status == 200 })
	submit(t, s.c, `{"fun": "identity", "args": [3]}`)

	fillUp(t, fill)
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

// fillUp writes a file until its disk has no space left.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for some := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(some)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}
