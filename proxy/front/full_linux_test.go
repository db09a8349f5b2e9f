package front

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAFullDiskIsAnAnswer(t *testing.T) {
	s := setup{listen: "buffer_memory: 1000", policy: "max_body: 10MiB"}.start(t, sizes(t))
	if err := unix.Mount("tmpfs", s.spool.dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("only root may make a small disk:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(s.spool.dir, 0); err != nil {
			t.Error(err)
		}
	})
	resp, got := s.do("POST", "/", strings.Repeat("x", 1<<20))
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(got, `"no_place"`) {
		t.Errorf("a body larger than the disk: %d %s", resp.StatusCode, got)
	}
	if strings.Contains(got, s.spool.dir) {
		t.Errorf("the client is told of a path: %s", got)
	}
	if _, got := s.do("POST", "/", strings.Repeat("x", 100<<10)); got != "102400 in file" {
		t.Errorf("a smaller one: %s", got)
	}
	if d := <-s.done; d.Err == nil || !strings.Contains(d.Err.Error(), "no space left on device: free some") {
		t.Errorf("the log has %v", d.Err)
	}
	if used := s.spool.memory.used.Load() + s.spool.disk.used.Load(); used != 0 {
		t.Errorf("%d bytes are still taken", used)
	}
}
