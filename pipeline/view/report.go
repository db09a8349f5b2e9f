package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/rpipe-dev/rpipe/pipeline"
)

// maxFiles is how many files a report lists by name.
const maxFiles = 10

// Report prints what a run did: a line a stage, the bottleneck, the files.
func Report(w io.Writer, r *pipeline.Report) {
	verb := "done"
	switch {
	case r.Drained:
		verb = "stopped"
	case r.Error != "":
		verb = "failed"
	}
	fmt.Fprintf(w, "%s %s in %s (run %s)\n\n", r.Pipeline, verb, span(r.Elapsed), r.Run)
	t := table{head: []string{"stage", ">rows in", ">rows out", ">bytes out", ">rows/s", ">time", ">busy", ">starved", ">blocked", ""}}
	for i, s := range r.Stages {
		cells := stageCells(s, r.Elapsed, i == 0)
		mark := ""
		if s.Name == r.Bottleneck {
			mark = "←"
		}
		t.add(s.Name, cells[0], cells[1], size(s.BytesOut), cells[2], span(s.BusyTime()), cells[4], cells[5], cells[6], mark)
	}
	for _, line := range t.lines("  ", 0) {
		fmt.Fprintln(w, line)
	}
	fmt.Fprintln(w)
	if r.Bottleneck != "" {
		fmt.Fprintf(w, "  bottleneck: %s\n", r.Bottleneck)
	}
	if r.R != nil {
		fmt.Fprintf(w, "  R: %s\n", rLine(r))
	}
	if r.Skipped > 0 {
		fmt.Fprintf(w, "  skipped: %s\n", counted(r.Skipped, "row"))
	}
	switch {
	case r.DeadLetters == 0 || r.Error != "":
	case r.DeadLetterDir == "": // the dry run of a replay
		fmt.Fprintf(w, "  dead letter: %s would fail again\n", counted(r.DeadLetters, "row"))
	default:
		fmt.Fprintf(w, "  dead letter: %s in %s\n", counted(r.DeadLetters, "row"), r.DeadLetterDir)
	}
	files(w, r)
}

func rLine(r *pipeline.Report) string {
	how := "spawned"
	if r.R.Forks {
		how = "forked"
	}
	line := fmt.Sprintf("%s, %s of R, %s %s", counted(r.R.Requests, "call"), span(r.R.BusyTime), counted(r.R.Started, "worker"), how)
	if r.R.Died > 0 {
		line += fmt.Sprintf(", %d died", r.R.Died)
	}
	return line
}

// files lists what was written, in the order in which the sink made it.
func files(w io.Writer, r *pipeline.Report) {
	if r.Error != "" {
		return
	}
	for _, to := range r.Outputs {
		if to.Path != "" {
			written(w, to, len(r.Outputs) > 1)
		}
	}
	for _, c := range r.Compacted {
		Compaction(w, c)
	}
}

// written says what one sink has written, with its name where there are several.
func written(w io.Writer, to pipeline.Written, several bool) {
	var rows, bytes int64
	for _, f := range to.Files {
		rows += f.Rows
		bytes += f.Bytes
	}
	name := ""
	if several {
		name = to.Sink + ": "
	}
	fmt.Fprintf(w, "  %swrote %s, %s, in %s:\n", name, counted(rows, "row"), size(bytes), counted(int64(len(to.Files)), "file"))
	for i, f := range to.Files {
		if i == maxFiles {
			fmt.Fprintf(w, "    … and %d more\n", len(to.Files)-i)
			break
		}
		fmt.Fprintf(w, "    %s  %s, %s\n", strings.TrimSuffix(to.Path, "/")+"/"+f.Path, counted(f.Rows, "row"), size(f.Bytes))
	}
}
