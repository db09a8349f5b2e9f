package rpool

import (
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// A fork that Go has given up finds its FIFOs gone, as one does that starts while
// the pool closes. It ends without a word and leaves the template as it was.
func TestAForkThatWasGivenUpEndsQuietly(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var lines []string
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, &Options{Output: func(_ int, line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	}}).(*forker)
	var e rdata.Encoder
	h, _, err := tpl.proc.ask(t.Context(), frameFork, encodeFork(&e, filepath.Join(tpl.home.dir, "gone"), "nonce", 1, "", ""))
	if err != nil || h.kind != framePong {
		t.Fatalf("fork: %v, %v", h.kind, err)
	}
	eventually(t, "the fork has ended", func() bool {
		g := tpl.proc.group
		g.mu.Lock()
		defer g.mu.Unlock()
		for pid, e := range g.exits {
			if pid != g.pgid && e.reaped {
				return true
			}
		}
		return false
	})
	// What the template says now comes behind whatever the fork has said.
	if _, _, err := tpl.proc.ask(t.Context(), frameTry, encodeTry(&e, `cat("still here\n"); flush(stdout())`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the template speaks", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.Contains(lines, "still here")
	})
	if _, err := os.Stat(tpl.proc.tempdir); err != nil {
		t.Error(err)
	}
	if got := printed(t, started(t, tpl), `cat("another fork")`); got != "another fork" {
		t.Errorf("another fork says %q", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(lines) != 1 {
		t.Errorf("the log has %q", lines)
	}
}
