package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/sinks/compact"
)

// DrawCompaction replaces what was drawn before.
func (l *Live) DrawCompaction(p compact.Progress) {
	l.draw(func(width int) []string { return []string{cut(compactionHead(p, width), width)} })
}

// compactionHead is the step, a bar and what is left.
func compactionHead(p compact.Progress, width int) string {
	elapsed := time.Since(p.Since)
	line := fmt.Sprintf("%s  %s", p.Step, span(elapsed))
	done, ok := compactionDone(p)
	if !ok {
		return line
	}
	line += "  " + bar(done, max(10, min(30, width-50))) + " " + percent(done) +
		fmt.Sprintf("  %s of %s rows", count(p.Wrote), count(p.Rows))
	if done > 0.01 && done < 1 {
		line += "  ETA " + span(time.Duration(float64(elapsed)*(1-done)/done))
	}
	return line
}

// compactionDone is how much of the rows is done. Where rows are sorted none is
// written before all are read: reading is half of it.
func compactionDone(p compact.Progress) (float64, bool) {
	if p.Rows == 0 {
		return 0, false
	}
	return float64(p.Read+p.Wrote) / float64(2*p.Rows), true
}

// CompactionLine is one line about a compaction, for logs and files.
func CompactionLine(p compact.Progress) string {
	parts := []string{p.Step, span(time.Since(p.Since))}
	if done, ok := compactionDone(p); ok {
		parts = append(parts, percent(done), fmt.Sprintf("%s of %s rows read", count(p.Read), count(p.Rows)), count(p.Wrote)+" written")
	}
	return "compact: " + strings.Join(parts, ", ")
}

// Compaction prints what a compaction did or would do.
func Compaction(w io.Writer, r *compact.Report) {
	path := r.Path
	if r.To != "" {
		path += " to " + r.To
	}
	if !r.Changed() {
		fmt.Fprintf(w, "%s: nothing to do: %s in %s\n", path, counted(int64(r.Before.Files), "file"), size(r.Before.Bytes))
		return
	}
	directories := ""
	if r.Directories > 1 {
		directories = ", in " + count(int64(r.Directories)) + " directories"
	}
	if r.DryRun {
		fmt.Fprintf(w, "%s: %s of %s would be merged, %s would stay%s\n", path, count(int64(r.Merged)), counted(int64(r.Before.Files), "file"), count(int64(r.Kept)), directories)
		directories = ""
	} else {
		fmt.Fprintf(w, "%s: %s compacted in %s\n", path, counted(r.Rows, "row"), span(r.Elapsed))
	}
	fmt.Fprintf(w, "  before: %s, %s%s\n", counted(int64(r.Before.Files), "file"), size(r.Before.Bytes), directories)
	if !r.DryRun {
		fmt.Fprintf(w, "  after:  %s, %s\n", counted(int64(r.After.Files), "file"), size(r.After.Bytes))
	}
	if len(r.Columns) > 0 {
		fmt.Fprintf(w, "  columns that some files did not have: %s\n", strings.Join(r.Columns, ", "))
	}
	if len(r.Widened) > 0 {
		fmt.Fprintf(w, "  columns whose type was not the same in all files: %s\n", strings.Join(r.Widened, ", "))
	}
	if r.Until != nil {
		fmt.Fprintf(w, "  the old files go at the next run or compaction after %s\n", r.Until.Local().Format("2006-01-02 15:04:05"))
	}
}
