//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSystemdIsToldHowTheServiceIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	s := findSupervisor()
	if _, set := os.LookupEnv("NOTIFY_SOCKET"); set {
		t.Error("R would inherit the socket")
	}
	for _, state := range []string{"READY=1", "STOPPING=1"} {
		if err := s.tell(state); err != nil {
			t.Fatal(err)
		}
		if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		heard := make([]byte, 100)
		n, err := socket.Read(heard)
		if err != nil || string(heard[:n]) != state {
			t.Errorf("systemd heard %q (%v), not %q", heard[:n], err, state)
		}
	}
}

func TestNobodyIsToldWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := findSupervisor().tell("READY=1"); err != nil {
		t.Error(err)
	}
}
