package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRestartsUnderLoad: a server that is drained and started again, three times while it
// has work, runs each task once and has its result once.
func TestRestartsUnderLoad(t *testing.T) {
	const n = 60
	dir := t.TempDir()
	ran := filepath.Join(dir, "ran")
	f := config(dir)
	f.Workers.None, f.Workers.Max = false, 2
	s := begin(t, f, Options{})
	// A line that is shorter than a block is appended whole.
	j := submit(t, s.c, fmt.Sprintf(`{"fun": "function(i, ran) { cat(i, '\\n', sep = '', file = ran, append = TRUE); Sys.sleep(0.05); i * 10L }",
		"over": [%s], "args": {"ran": %q}}`, strings.Trim(strings.Join(strings.Fields(fmt.Sprint(upTo(n))), ","), "[]"), ran))
	for restart := 1; restart <= 3; restart++ {
		eventually(t, func() bool {
			text, _ := os.ReadFile(ran)
			return strings.Count(string(text), "\n") >= restart*n/5
		})
		s.DrainLater()
		if err := s.Wait(); err != nil {
			t.Errorf("restart %d: %v", restart, err)
		}
		s.close()
		s = begin(t, f, Options{})
	}
	defer s.close()
	ended(t, s.c, j.ID)
	text, err := os.ReadFile(ran)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		times[strings.TrimSpace(line)]++
	}
	for _, i := range upTo(n) {
		if times[fmt.Sprint(i)] != 1 {
			t.Errorf("task %d ran %d times", i, times[fmt.Sprint(i)])
		}
	}
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprint((i + 1) * 10)
	}
	if got := values(t, s, j.ID); got != strings.Join(want, " ") {
		t.Errorf("results: %s", got)
	}
}

// upTo is 1 to n.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}
