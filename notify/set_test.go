package notify

import (
	"os"
	"strings"
	"testing"
)

// TestSet: what waits for a target that is changed arrives where it leads now, figures go
// on, and what waits for one that is gone is dropped.
func TestSet(t *testing.T) {
	away, there, same := newHook(t), newHook(t), newHook(t)
	away.Close()
	dir := t.TempDir()
	keep := target(same.URL, nil)
	never := func(t *Target) { t.Retries = 100 }
	n, log := notifier(t, dir, map[string]Target{"moves": target(away.URL, never), "goes": target(away.URL, never), "stays": keep})
	if err := n.Send([]string{"moves", "goes", "stays"}, failed); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		return n.of("moves").Retried > 0 && n.of("goes").Retried > 0 && n.of("stays").Delivered == 1
	})
	bad := target("no address", nil)
	if err := n.Set(map[string]Target{"stays": bad}); err == nil || len(n.Names()) != 3 {
		t.Errorf("%v, then %v", err, n.Names())
	}
	if err := n.Set(map[string]Target{"moves": target(there.URL, never), "stays": keep, "new": target(there.URL, nil)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { s := n.of("moves"); return s.Delivered == 1 && s.Waiting == 0 })
	if s := n.of("moves"); s.Retried == 0 || n.of("stays").Delivered != 1 {
		t.Errorf("%+v, %+v", s, n.of("stays"))
	}
	if err := n.Send([]string{"new", "stays"}, failed); err != nil {
		t.Error(err)
	}
	if err := n.Send([]string{"goes"}, failed); err == nil {
		t.Error("a target that is gone takes messages")
	}
	eventually(t, func() bool { return n.of("new").Delivered == 1 && n.of("stays").Delivered == 2 })
	if !strings.Contains(log.String(), "its target is gone") {
		t.Error(log)
	}
	eventually(t, func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	})
}
