//go:build unix

package main

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestSaveFile: a pipe is written to, and stays one; a file appears whole.
func TestSaveFile(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	other, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	f := func(path string) {
		t.Helper()
		err := saveFile(path, func(w io.Writer) error {
			_, err := io.WriteString(w, "value")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	f(pipe)
	if info, err := os.Lstat(pipe); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Fatalf("%v, %v", info, err)
	}
	b := make([]byte, 10)
	if n, err := other.Read(b); err != nil || string(b[:n]) != "value" {
		t.Errorf("%q, %v", b[:n], err)
	}
	f(filepath.Join(dir, "file"))
	if b, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(b) != "value" {
		t.Errorf("%q, %v", b, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
}
