//go:build unix

package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
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

// TestReloadIsToldToSystemd: that it begins, with the time, and that it has ended.
func TestReloadIsToldToSystemd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	heard := func(want string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		n, err := socket.Read(b)
		if err != nil || !regexp.MustCompile("^(?:"+want+")$").Match(b[:n]) {
			t.Errorf("systemd heard %q (%v), not %s", b[:n], err, want)
		}
	}
	s := &silent{ended: make(chan error)}
	served := make(chan error)
	go func() {
		served <- serve(t.Context(), serviceOptions{
			log:   slog.New(slog.DiscardHandler),
			start: func(context.Context) (service, error) { return s, nil },
			up:    func(service) {},
			reload: func(_ service, done func()) {
				s.reloads++
				done()
			},
		})
	}()
	heard("READY=1")
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	want := "RELOADING=1"
	if runtime.GOOS == "linux" {
		want += `\nMONOTONIC_USEC=\d+`
	}
	heard(want)
	heard("READY=1")
	s.ended <- nil
	if err := <-served; err != nil || s.reloads != 1 {
		t.Errorf("%v, %d reloads", err, s.reloads)
	}
}

// silent is a service that does nothing.
type silent struct {
	ended   chan error
	reloads int
}

func (s *silent) Wait() error        { return <-s.ended }
func (*silent) DrainLater()          {}
func (*silent) Stop(error)           {}
func (*silent) Grace() time.Duration { return 0 }
func (*silent) Close()               {}
