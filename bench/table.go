package bench

import (
	"fmt"
	"strconv"
	"strings"
)

// Unit is how a measurement is written.
type Unit struct {
	Name   string
	Format func(v float64) string
}

// The units of the tables.
var (
	PerSecond = Unit{"a second", func(v float64) string { return grouped(v) }}
	Rows      = Unit{"million rows/s", func(v float64) string { return fmt.Sprintf("%.2f", v/1e6) }}
	Seconds   = Unit{"seconds", func(v float64) string { return fmt.Sprintf("%.2f", v) }}
	Millis    = Unit{"ms", func(v float64) string { return fmt.Sprintf("%.1f", v*1e3) }}
	Megabytes = Unit{"MB", func(v float64) string { return fmt.Sprintf("%.1f", v/1e6) }}
)

// Print writes a comparison as a table. The others show the ratio of rpipe's
// figure to theirs.
func Print(title string, u Unit, rpipe *Side, others ...*Side) {
	fmt.Printf("%s:\n\n", title)
	fmt.Printf("| | %s | lowest to highest | rpipe ÷ this | bar |\n| --- | ---: | ---: | ---: | --- |\n", u.Name)
	for _, s := range append([]*Side{rpipe}, others...) {
		if s.failed {
			fmt.Printf("| %s | failed |  |  |  |\n", s.Name)
			continue
		}
		ratio := ""
		if s != rpipe {
			ratio = quotient(rpipe.Over(s))
		}
		lo, hi := s.samples[0], s.samples[0]
		for _, v := range s.samples {
			lo, hi = min(lo, v), max(hi, v)
		}
		fmt.Printf("| %s | %s | %s to %s | %s | %s |\n", s.Name, u.Format(s.Median()), u.Format(lo), u.Format(hi), ratio, s.verdict(rpipe))
	}
	fmt.Println()
}

// verdict is the bar, and whether rpipe reaches it: beside this side, or by its
// own figure where this is rpipe.
func (s *Side) verdict(rpipe *Side) string {
	if s.Bar == "" {
		return ""
	}
	got := s.Median()
	if s != rpipe {
		got = rpipe.Over(s)
	}
	if holds(s.Bar, got) {
		return s.Bar + ": met"
	}
	return s.Bar + ": **missed**"
}

// holds says whether a figure is as a bar wants it: "≥ 8,000", "< 0.05", "≤ 1.3
// of the smaller". A bar that begins otherwise is a mistake in the program.
func holds(bar string, got float64) bool {
	words := strings.Fields(bar)
	want, err := strconv.ParseFloat(strings.ReplaceAll(words[1], ",", ""), 64)
	if err != nil {
		panic(fmt.Sprintf("the bar %q has no number: %v", bar, err))
	}
	switch words[0] {
	case "≥":
		return got >= want
	case "≤":
		return got <= want
	case "<":
		return got < want
	}
	panic(fmt.Sprintf("the bar %q begins with none of ≥ ≤ <", bar))
}

// quotient writes a ratio: 3.42, 0.031.
func quotient(v float64) string {
	if v < 0.1 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// grouped writes 12345 as 12,345.
func grouped(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(r)
	}
	return b.String()
}
