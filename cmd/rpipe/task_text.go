package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks"
)

// printLine prints v as one line of JSON.
func printLine(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// brief is s within n characters.
func brief(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// plain is s without the control characters that would steer a terminal: names and
// messages may come from anybody. Colours go with them.
func plain(s string) string {
	s = colours.ReplaceAllString(s, "")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return '\ufffd'
		}
		return r
	}, s)
}

var colours = regexp.MustCompile(`\x1b\[[0-9;:]*m`)

// cell is s as one cell of a table.
func cell(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(plain(s))
}

// newTable aligns cells on stdout. On a terminal a row is a line: what does not fit is cut.
func newTable() *tabwriter.Writer {
	var width int
	if fd := int(os.Stdout.Fd()); term.IsTerminal(fd) {
		width, _, _ = term.GetSize(fd)
	}
	return tabwriter.NewWriter(&rowWriter{to: os.Stdout, width: width}, 0, 0, 2, ' ', 0)
}

// rowWriter writes lines without the blanks at their end, and cut to a width unless 0.
type rowWriter struct {
	to    io.Writer
	width int
	line  []byte
}

func (w *rowWriter) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		w.line = append(w.line, line...)
		if line[len(line)-1] != '\n' {
			break
		}
		text := strings.TrimRight(string(w.line), " \n")
		if w.width > 1 {
			text = brief(text, w.width)
		}
		w.line = w.line[:0]
		if _, err := io.WriteString(w.to, text+"\n"); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// numbered is a number of things: 1 task, 2 tasks.
func numbered(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// memory is a number of bytes in three digits or so.
func memory(n int64) string {
	f, unit := float64(n), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for f >= 1000 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	if f < 10 && unit > 0 {
		return fmt.Sprintf("%.1f %s", f, units[unit])
	}
	return fmt.Sprintf("%.0f %s", f, units[unit])
}

// since is how long ago t was, in one unit.
func since(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return length(time.Since(*t)) + " ago"
}

// ran is how long something took, or takes already.
func ran(started, ended *time.Time) string {
	switch {
	case started == nil || started.IsZero():
		return "-"
	case ended == nil || ended.IsZero():
		return length(time.Since(*started)) + "…"
	}
	return length(ended.Sub(*started))
}

func length(d time.Duration) string {
	switch {
	case d < 0:
		return "0ms"
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// stateOrder are the states that occur, in their usual order.
func stateOrder(states map[string]int64) []string {
	var order []string
	for _, s := range append(slices.Clone(tasks.States), tasks.Missing) {
		if states[string(s)] > 0 {
			order = append(order, string(s))
		}
	}
	return order
}

// counted are counts by state in a line, such as 97 COMPLETE, 3 ERROR.
func counted(states map[string]int64) string {
	var parts []string
	for _, s := range stateOrder(states) {
		parts = append(parts, fmt.Sprintf("%d %s", states[s], s))
	}
	if len(parts) == 0 {
		return "0"
	}
	return strings.Join(parts, ", ")
}

// parseWhen reads a time, or a length of time from now on: sign 1 into the future, -1
// into the past. "" is the zero time.
func parseWhen(flag, text string, sign int) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := configs.ParseDuration(text); err == nil {
		return time.Now().Add(time.Duration(sign) * time.Duration(d)), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s %q is no time: say 2026-11-22T08:00:00Z, 2026-11-22 08:00 of this machine's zone, or a length such as 90s, 2h or 7d", flag, text)
}
