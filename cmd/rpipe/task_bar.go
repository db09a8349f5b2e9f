package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// taskBar shows on stderr how far tasks are, where that is a terminal.
type taskBar struct {
	live  bool
	began time.Time
	shown bool
}

func newTaskBar() *taskBar {
	return &taskBar{live: term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb", began: time.Now()}
}

func (b *taskBar) draw(w *api.WaitResult) {
	if !b.live || w.Total == 0 {
		return
	}
	width, _ := terminalSize()
	b.shown = true
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s", barLine(w, time.Since(b.began), width-1))
}

func (b *taskBar) clear() {
	if b.shown {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		b.shown = false
	}
}

// barLine is the state of things in a line of at most width characters.
func barLine(w *api.WaitResult, took time.Duration, width int) string {
	waiting := w.States["PENDING"] + w.States["DEFERRED"]
	running := w.States["RUNNING"]
	done := w.Total - waiting - running
	failed := done - w.States["COMPLETE"] - w.States["MOVED"]
	text := fmt.Sprintf(" %d of %d", done, w.Total)
	if running > 0 {
		text += fmt.Sprintf(", %d running", running)
	}
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	text += "  " + length(took)
	if done > 0 && done < w.Total && took > 2*time.Second {
		left := time.Duration(float64(took) / float64(done) * float64(w.Total-done))
		text += ", about " + length(left) + " left"
	}
	cells := min(40, width-len([]rune(text)))
	if cells < 10 {
		return brief(strings.TrimSpace(text), max(width, 2))
	}
	full := int(int64(cells) * done / w.Total)
	return strings.Repeat("█", full) + strings.Repeat("░", cells-full) + text
}
