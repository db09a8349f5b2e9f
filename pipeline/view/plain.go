package view

import (
	"fmt"
	"strings"

	"github.com/rpipe-dev/rpipe/pipeline"
)

// PlainLine is one line about a running pipeline, for logs and files.
func PlainLine(s pipeline.Snapshot) string {
	parts := []string{span(s.Elapsed)}
	if f, ok := s.Fraction(); ok {
		parts = append(parts, percent(f))
	}
	parts = append(parts, count(s.Read.Rows)+" rows read")
	if n := len(s.Stages); n > 0 {
		parts = append(parts, count(s.Stages[n-1].RowsOut)+" written")
	}
	if secs := s.Elapsed.Seconds(); secs > 0 {
		parts = append(parts, brief(float64(s.Read.Rows)/secs)+" rows/s")
	}
	if s.R != nil {
		parts = append(parts, fmt.Sprintf("%d of %d R workers busy", s.R.Busy, s.R.Up))
	}
	if b := s.Bottleneck(); b != "" {
		parts = append(parts, "bottleneck "+b)
	}
	if s.Drained {
		parts = append(parts, "stopping")
	} else if left, ok := s.Remaining(); ok {
		parts = append(parts, "ETA "+span(left))
	}
	return s.Pipeline + ": " + strings.Join(parts, ", ")
}
