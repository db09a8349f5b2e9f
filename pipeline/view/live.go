package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/stages"
)

// Live redraws a run in place on a terminal.
type Live struct {
	out   io.Writer
	size  func() (width, height int)
	lines int // drawn last time
}

// NewLive draws on out, a terminal; size tells its extent at each drawing.
func NewLive(out io.Writer, size func() (width, height int)) *Live {
	return &Live{out: out, size: size}
}

// Draw replaces what was drawn before.
func (l *Live) Draw(s pipeline.Snapshot) {
	l.draw(func(width int) []string { return livePicture(&s, width) })
}

func (l *Live) draw(picture func(width int) []string) {
	width, height := l.size()
	lines := picture(width)
	if height > 1 && len(lines) >= height { // what scrolls away cannot be redrawn
		lines = lines[:height-1]
	}
	var b strings.Builder
	l.home(&b)
	for _, line := range lines {
		b.WriteString(line + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	l.lines = len(lines)
	io.WriteString(l.out, b.String())
}

// Clear removes the drawing: log lines and the report take its place.
func (l *Live) Clear() {
	var b strings.Builder
	l.home(&b)
	b.WriteString("\x1b[J")
	l.lines = 0
	io.WriteString(l.out, b.String())
}

func (l *Live) home(b *strings.Builder) {
	b.WriteString("\r")
	if l.lines > 0 {
		fmt.Fprintf(b, "\x1b[%dA", l.lines)
	}
}

func livePicture(s *pipeline.Snapshot, width int) []string {
	lines := []string{cut(headline(s, width), width)}
	t := table{head: []string{"stage", ">rows in", ">rows out", ">rows/s", ">in flight", ">busy", ">starved", ">blocked"}}
	for i, r := range s.Stages {
		t.add(append([]string{r.Name}, stageCells(r, s.Elapsed, i == 0)...)...)
	}
	lines = append(lines, t.lines("  ", width)...)
	return append(lines, cut("  "+resources(s), width))
}

// headline is the name, a bar and what is left, or, without a known size, what has been read.
func headline(s *pipeline.Snapshot, width int) string {
	line := fmt.Sprintf("%s  %s", s.Pipeline, span(s.Elapsed))
	f, ok := s.Fraction()
	if !ok {
		return line + "  " + count(s.Read.Rows) + " rows read"
	}
	line += "  " + bar(f, max(10, min(30, width-70))) + " " + percent(f)
	if s.Input.Rows > 0 {
		line += fmt.Sprintf("  %s of %s rows", count(s.Read.Rows), count(s.Input.Rows))
	} else {
		line += fmt.Sprintf("  %s rows, %s of %s", count(s.Read.Rows), size(s.Read.Bytes), size(s.Input.Bytes))
	}
	if s.Drained {
		return line + "  stopping: finishing what was read"
	}
	if left, ok := s.Remaining(); ok && f < 1 {
		line += "  ETA " + span(left)
	}
	return line
}

func bar(f float64, width int) string {
	full := int(f*float64(width) + 0.5)
	return strings.Repeat("█", full) + strings.Repeat("░", width-full)
}

// stageCells are a stage's numbers: rows in and out, rate, batches in flight,
// and how it spent the time of the run.
func stageCells(r stages.Reading, run time.Duration, first bool) []string {
	in, rate := count(r.RowsIn), r.RowsIn
	if first {
		in, rate = "", r.RowsOut
	}
	inFlight := ""
	if r.Workers > 1 {
		inFlight = fmt.Sprintf("%d/%d", r.InFlight, r.Workers)
	}
	perSecond := "" // not to be told from so short a time
	if r.Elapsed > time.Millisecond {
		perSecond = brief(float64(rate) / r.Elapsed.Seconds())
	}
	return []string{
		in, count(r.RowsOut), perSecond, inFlight,
		percent(share(r.BusyTime(), run)), percent(share(r.BlockedIn, run)), percent(share(r.BlockedOut, run)),
	}
}

// resources is the line about R and memory.
func resources(s *pipeline.Snapshot) string {
	var parts []string
	if s.R != nil {
		parts = append(parts, fmt.Sprintf("R workers %d up, %d busy, %s", s.R.Up, s.R.Busy, size(s.R.Memory)))
	}
	parts = append(parts, fmt.Sprintf("rows in memory %s of %s", size(s.Memory), size(s.Budget)))
	if s.Skipped > 0 {
		parts = append(parts, count(s.Skipped)+" rows skipped")
	}
	if s.Rejected > 0 {
		parts = append(parts, count(s.Rejected)+" rows in the dead letter")
	}
	return strings.Join(parts, " · ")
}
