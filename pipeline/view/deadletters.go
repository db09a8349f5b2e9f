package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/pipeline"
)

// maxGroups is how many errors of a dead letter are listed.
const maxGroups = 30

// DeadGroups prints what failed, by stage and error.
func DeadGroups(w io.Writer, groups []*pipeline.DeadGroup) {
	stage := ""
	for i, g := range groups {
		if i == maxGroups {
			fmt.Fprintf(w, "\n… and %s more\n", counted(int64(len(groups)-i), "error"))
			return
		}
		if g.Stage != stage || i == 0 {
			if i > 0 {
				fmt.Fprintln(w)
			}
			fmt.Fprintf(w, "%s\n", g.Stage)
			stage = g.Stage
		}
		when := moment(g.Last)
		if !g.First.Equal(g.Last) {
			when = moment(g.First) + " to " + moment(g.Last)
		}
		fmt.Fprintf(w, "  %s: %s\n", counted(g.Rows, "row"), clean(firstLine(g.Error)))
		fmt.Fprintf(w, "    %s, %s\n", when, runs(g.Runs))
	}
}

// runs names few runs, and counts many.
func runs(ids []string) string {
	const most = 3
	if len(ids) > most {
		return fmt.Sprintf("%d runs, the last %s", len(ids), ids[len(ids)-1])
	}
	if len(ids) == 1 {
		return "run " + ids[0]
	}
	return "runs " + strings.Join(ids, ", ")
}

// DeadRow prints a row that failed, with its error.
func DeadRow(w io.Writer, r *pipeline.DeadRow) {
	place := r.Stage
	if r.Row > 0 {
		place += " row " + count(r.Row)
	}
	fmt.Fprintf(w, "%s, run %s, %s, attempt %d\n", place, r.Run, moment(r.Time), r.Attempt)
	lines := strings.Split(strings.TrimRight(r.Error, "\n"), "\n")
	for _, line := range lines {
		fmt.Fprintf(w, "  %s\n", clean(line))
	}
	if r.Whole {
		fmt.Fprintln(w, "  it failed together with others: which of them is at fault is not known")
	}
	Traceback(w, r.Traceback)
	if r.Raw != nil {
		fmt.Fprintf(w, "  text: %s\n", cut(clean(string(r.Raw)), 300))
		return
	}
	for i, f := range r.Own.Schema().Fields() {
		value := string(frame.AppendText(nil, r.Own.Column(i), r.Index, frame.TextOptions{Null: "NA"}))
		fmt.Fprintf(w, "  %s: %s\n", clean(f.Name), cut(clean(value), 200))
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
