package sinks

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rpipe-dev/rpipe/stages"
)

// inNamespace runs a test of this binary again in a user and mount namespace of
// its own, where anyone may mount. It is false in the outer process.
func inNamespace(t *testing.T) bool {
	const mark = "RPIPE_TEST_NAMESPACE"
	if os.Getenv(mark) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EINVAL), strings.Contains(string(out), "cannot mount"):
		t.Skipf("no file system can be mounted for a test here (unprivileged namespaces are off): %v", err)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

func mount(t *testing.T, dir string, flags uintptr, options string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Fatal("cannot mount: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// A real file system of 256 KiB: what fails there, and how, is not ours to choose.
func TestFullFileSystem(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	eachSink(t, func(t *testing.T, ext string, sink func(string, Files) Sink) {
		env := testEnv(t, "run-1")
		mount(t, env.Dir, 0, "size=256k")
		var batches []*stages.Rows
		for i := range 40 {
			batches = append(batches, noise(t, 2000*i, 2000))
		}
		w := open(t, sink("out", Files{RowsPerFile: 15_000}), env)
		err := run(t, w, batches...)
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "out: no space left on device; free space") {
			t.Fatal(err)
		}
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
		if left := tree(t, env.Dir); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestReadOnlyFileSystem(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	env := testEnv(t, "run-1")
	mount(t, env.Dir, syscall.MS_RDONLY, "")
	_, err := (&Parquet{Path: "out"}).Open(t.Context(), env)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "create directory out: read-only file system") {
		t.Error(err)
	}
	_, err = (&Parquet{Path: "."}).Open(t.Context(), env)
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "set path to one that can be written") {
		t.Error(err)
	}
}

// As root, permissions bind nobody, so the test becomes someone else.
func TestReadOnlyDirectory(t *testing.T) {
	const mark = "RPIPE_TEST_READ_ONLY"
	if dir := os.Getenv(mark); dir != "" {
		_, err := (&Parquet{Path: dir}).Open(t.Context(), &stages.Env{Run: "run-1"})
		fmt.Println("answer:", err)
		return
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o555); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(d, 0o755) })
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+dir)
	cmd.Dir = "/"
	if os.Getuid() == 0 {
		// The binary lies in a directory of root's; /proc/self/exe would be refused.
		open := filepath.Join(os.TempDir(), filepath.Base(os.Args[0])+fmt.Sprint(os.Getpid()))
		b, err := os.ReadFile(os.Args[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(open, b, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(open) })
		cmd.Path = open
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "sink: write to " + dir + ": permission denied; the user that runs rpipe may not write there"
	if !strings.Contains(string(out), want) {
		t.Errorf("got %s\nwant %s", out, want)
	}
}
