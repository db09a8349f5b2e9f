package view

import (
	"fmt"
	"io"
	"time"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/pipeline/journal"
)

// State prints what is on record of a pipeline's runs.
func State(w io.Writer, s *pipeline.State) {
	if s.Cursor == nil && s.Unfinished == nil {
		fmt.Fprintf(w, "%s: nothing is on record in %s\n", s.Pipeline, s.Path)
		if s.Running {
			fmt.Fprintf(w, "  a run is working, and has committed nothing yet\n")
		}
		return
	}
	fmt.Fprintf(w, "%s, on record in %s\n", s.Pipeline, s.Path)
	if c := s.Cursor; c != nil {
		by := "by rpipe state set"
		if c.Run != "" {
			by = "by run " + c.Run
		}
		fmt.Fprintf(w, "\n  cursor: %s\n    saved %s %s\n", clean(c.Value), moment(c.Saved), by)
	}
	u := s.Unfinished
	switch {
	case u == nil && s.Running:
		fmt.Fprintf(w, "\n  a run is working, and has committed nothing yet\n")
		return
	case u == nil:
		return
	case s.Running:
		fmt.Fprintf(w, "\n  run %s is on record, and a process is working on this pipeline now\n", u.Run)
	default:
		fmt.Fprintf(w, "\n  run %s did not finish: %s\n", u.Run, phase(u.Phase))
	}
	fmt.Fprintf(w, "    started %s, on record up to %s\n", moment(u.Started), moment(u.Recorded))
	fmt.Fprintf(w, "    epoch %d: %s of the input in %s\n", u.Epoch, counted(u.Rows, "row"), counted(int64(u.Reads), "read"))
	for _, r := range u.Outputs {
		fmt.Fprintf(w, "    %s: %s, %s in %s\n", r.Output, counted(r.Rows, "row"), size(r.Bytes), counted(int64(r.Files), "file"))
	}
	if u.Skipped > 0 {
		fmt.Fprintf(w, "    skipped: %s\n", counted(u.Skipped, "row"))
	}
	if u.Cursor != "" {
		fmt.Fprintf(w, "    its cursor so far: %s\n", clean(u.Cursor))
	}
	if s.Running {
		return
	}
	fmt.Fprintf(w, "    rpipe run --resume goes on with it, --fresh gives it up\n")
}

// phase says what a run was about.
func phase(p journal.Phase) string {
	switch p {
	case journal.Publishing:
		return "everything is read and ready, and not all of it is visible"
	case journal.Stopped:
		return "it was asked to stop"
	}
	return "it died, or it runs"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }
