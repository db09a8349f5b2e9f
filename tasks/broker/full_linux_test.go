package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestNoSpaceLeft: a disk that is really full, which only root can have here.
func TestNoSpaceLeft(t *testing.T) {
	for _, reserve := range []int64{24 << 20, 0} {
		t.Run(fmt.Sprintf("reserve %d", reserve), func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
				t.Skip("cannot mount a small file system: ", err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, 0); err != nil {
					t.Error(err)
				}
			})
			o := Options{Dir: filepath.Join(dir, "store"), Log: logger(t)}
			b, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { b.Close() }()
			b.reserve = reserve
			var acked []string
			ctx := within(t)
			for i := 0; err == nil; i++ {
				s := fmt.Sprintf("rp.s.job.%d", i+1)
				if _, err = b.Write(ctx, Write{Subject: s, Data: make([]byte, 300<<10)}); err == nil {
					acked = append(acked, s)
				}
			}
			if !errors.Is(err, ErrFull) || len(acked) < 50 {
				t.Fatalf("after %d writes: %v", len(acked), err)
			}
			if h := b.Health(); !errors.Is(h, ErrFull) {
				t.Errorf("health: %v", h)
			}
			short, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			r, err := b.Get(short, acked[0])
			if reserve > 0 {
				if err != nil || len(r.Data) != 300<<10 {
					t.Errorf("read from a full store: %v", err)
				}
				if _, err := b.Write(short, Write{Subject: acked[0], Data: []byte("done"), Expect: r.Seq}); err != nil {
					t.Errorf("the end of what runs: %v", err)
				}
			} else if err != nil && !errors.Is(err, ErrFull) {
				t.Errorf("read from a store that has stopped: %v", err)
			}
			b.Close()
			again := func() {
				if b, err = Open(t.Context(), o); err != nil {
					t.Fatal(err)
				}
			}
			if reserve > 0 { // what is started on a full disk has room when there is some
				again()
			}
			if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=256m"); err != nil {
				t.Fatal(err)
			}
			if reserve == 0 {
				again()
			}
			for _, s := range acked {
				if _, err := b.Get(ctx, s); err != nil {
					t.Errorf("acknowledged before: %v", err)
				}
			}
			if _, err := b.Write(ctx, Write{Subject: "rp.s.new.1", Data: []byte("x")}); err != nil {
				t.Errorf("with room again: %v", err)
			}
			if _, err := os.Stat(dir); err != nil {
				t.Error(err)
			}
		})
	}
}
