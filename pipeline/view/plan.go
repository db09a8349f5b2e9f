package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/rpipe-dev/rpipe/pipeline"
)

// Plan prints the graph: each part with its settings, defaults filled in, and
// the columns that leave it. After the source only what changes is shown.
func Plan(w io.Writer, p *pipeline.Plan) {
	fmt.Fprintf(w, "%s  (%s)\n", p.Name, p.Path)
	fmt.Fprintf(w, "memory for rows %v", p.Memory)
	if p.Workers > 0 {
		fmt.Fprintf(w, ", up to %d R workers", p.Workers)
	}
	if len(p.Queues) > 0 {
		fmt.Fprintf(w, ", R on the task server's workers (queue %s)", strings.Join(p.Queues, ", "))
	}
	if p.Size.Rows > 0 {
		fmt.Fprintf(w, ", %s rows to read", count(p.Size.Rows))
	}
	if p.Size.Bytes > 0 {
		fmt.Fprintf(w, ", %s on disk", size(p.Size.Bytes))
	}
	fmt.Fprintln(w)
	if p.Commit != "" {
		fmt.Fprintf(w, "commits %s\n", p.Commit)
	}
	for i, n := range p.Nodes {
		fmt.Fprintf(w, "\n%s\n", nodeTitle(n))
		var before []pipeline.Column
		if n.After >= 0 {
			before = p.Nodes[n.After].Out
		}
		if n.After >= 0 && n.After != i-1 {
			fmt.Fprintf(w, "  ← %s\n", p.Nodes[n.After].Label)
		}
		for line := range strings.SplitSeq(strings.TrimRight(n.Settings, "\n"), "\n") {
			if line != "" {
				fmt.Fprintf(w, "    %s\n", line)
			}
		}
		if n.Kind == "sink" {
			continue
		}
		switch {
		case n.Out == nil:
			fmt.Fprintln(w, "  → columns not known until the first batch")
		case i == 0 || before == nil:
			fmt.Fprintf(w, "  → %s\n", columnList(n.Out))
		default:
			fmt.Fprintf(w, "  → %s\n", changes(before, n.Out))
		}
	}
}

func nodeTitle(n pipeline.Node) string {
	if n.Label == n.Component {
		return n.Component
	}
	return n.Label + ": " + n.Component
}

func columnList(cs []pipeline.Column) string {
	names := make([]string, len(cs))
	for i, c := range cs {
		names[i] = c.Name + " " + c.Type
	}
	return strings.Join(names, ", ")
}

// changes says which columns came, went or changed their type.
func changes(before, after []pipeline.Column) string {
	was := map[string]string{}
	for _, c := range before {
		was[c.Name] = c.Type
	}
	var parts []string
	for _, c := range after {
		switch t, ok := was[c.Name]; {
		case !ok:
			parts = append(parts, "+ "+c.Name+" "+c.Type)
		case t != c.Type:
			parts = append(parts, "~ "+c.Name+" "+t+" → "+c.Type)
		}
		delete(was, c.Name)
	}
	for _, c := range before {
		if _, gone := was[c.Name]; gone {
			parts = append(parts, "- "+c.Name)
		}
	}
	if parts == nil {
		return "the same columns"
	}
	return strings.Join(parts, ", ")
}

// Mermaid prints the graph as a Mermaid flowchart, for Markdown.
func Mermaid(w io.Writer, p *pipeline.Plan) {
	fmt.Fprintln(w, "flowchart LR")
	for i, n := range p.Nodes {
		open, shut := "[", "]"
		if n.Kind != "stage" {
			open, shut = "[(", ")]"
		}
		fmt.Fprintf(w, "    n%d%s\"%s\"%s\n", i, open, mermaidText(nodeTitle(n)), shut)
	}
	for i, n := range p.Nodes {
		if n.After < 0 {
			continue
		}
		label := "columns not known yet"
		if out := p.Nodes[n.After].Out; out != nil {
			label = counted(int64(len(out)), "column")
		}
		fmt.Fprintf(w, "    n%d -- %s --> n%d\n", n.After, label, i)
	}
}

func mermaidText(s string) string {
	return strings.NewReplacer(`"`, "#quot;", "\n", " ").Replace(s)
}
