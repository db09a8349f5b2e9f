// Package view draws runs, plans and reports for people, on a terminal or as
// plain lines. It formats what package pipeline knows, and knows nothing itself.
package view

import (
	"fmt"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

var english = message.NewPrinter(language.English)

// count prints 1234567 as 1,234,567.
func count(n int64) string { return english.Sprintf("%d", n) }

// counted prints a number of things: 1 row, 2,000 rows.
func counted(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// brief prints a number in at most five characters: 999, 12.3k, 4.56M.
func brief(n float64) string {
	for _, u := range []struct {
		size float64
		unit string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if n >= u.size {
			return three(n/u.size) + u.unit
		}
	}
	return fmt.Sprintf("%.0f", n)
}

// size prints bytes in binary units: 512 B, 4.2 MiB.
func size(n int64) string {
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%s %s", three(v), units[i])
}

// three prints a number below 10,000 in three digits, or four.
func three(v float64) string {
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f", v)
	case v < 99.95:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// span prints a duration for people: 13ms, 1.8s, 12s, 3m05s, 2h07m.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
}

// percent prints a share.
func percent(f float64) string { return fmt.Sprintf("%.0f%%", 100*f) }

// share is part of whole, 0 where there is no whole.
func share(part, whole time.Duration) float64 {
	if whole <= 0 {
		return 0
	}
	return min(1, part.Seconds()/whole.Seconds())
}
