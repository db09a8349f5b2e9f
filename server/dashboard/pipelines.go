package dashboard

import (
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

func (d *Dashboard) pipelines(r *http.Request) (*view, error) {
	var all api.Pipelines
	if err := d.get(r, "/v1/pipelines", nil, &all); err != nil {
		return nil, err
	}
	return &view{Title: "Pipelines", Nav: "pipelines", Live: "runs tick", Data: &all}, nil
}

// pipeline is one of them: its graph, with figures where it runs, its runs, and the rows
// that failed.
func (d *Dashboard) pipeline(r *http.Request) (*view, error) {
	name := r.PathValue("name")
	var data struct {
		api.Pipeline
		Graph  *graph
		Run    *api.PipelineRun // under way
		Runs   []api.Run
		Dead   *api.PipelineDeadLetters
		DeadOf string // why there is none to be shown
		Own    bool
	}
	if err := d.get(r, "/v1/pipelines/"+name, nil, &data.Pipeline); err != nil {
		return nil, err
	}
	v := &view{Title: name, Nav: "pipelines", Live: "runs tick", Data: &data}
	if n := len(data.Running); n > 0 {
		var run api.PipelineRun
		if d.get(r, "/v1/pipeline-runs/"+data.Running[n-1], nil, &run) == nil {
			data.Run = &run
			v.Live += " fast"
		}
	}
	var live *api.PipelineLive
	if data.Run != nil {
		live = data.Run.Live
	}
	data.Graph = graphOf(data.Nodes, live)
	var runs api.Runs
	if err := d.get(r, "/v1/pipelines/"+name+"/runs", values("limit", "20"), &runs); err == nil {
		data.Runs = runs.Runs
	}
	if data.Pipeline.Dead {
		var dead api.PipelineDeadLetters
		if err := d.get(r, "/v1/pipelines/"+name+"/dead-letters", values("limit", "20"), &dead); err != nil {
			data.DeadOf = faultOf(err).Message
		} else if len(dead.Groups) > 0 {
			data.Dead = &dead
		}
	}
	who := d.o.Who(r)
	data.Own = who.mayChange(data.Owner) && data.State != "broken"
	return v, nil
}

// pipelineAction runs a pipeline, or the rows of its dead letter.
func (d *Dashboard) pipelineAction(what string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue("name")
		var in any = api.PipelineStart{}
		said := "Pipeline " + name + " runs."
		if what == "replay" {
			in, said = api.PipelineReplay{Stage: r.PostFormValue("stage")}, "The rows that failed run again."
		}
		var run api.PipelineRun
		f := &flash{Text: said}
		if err := d.ask(r, http.MethodPost, "/v1/pipelines/"+name+"/"+what, nil, in, &run); err != nil {
			f = failed("pipeline "+name, err)
		} else {
			f.Link = "/ui/runs/" + run.ID
		}
		d.Changed("runs", "")
		back(w, r, "/ui/pipelines/"+name, f)
	}
}

// graph is the parts of a pipeline from left to right.
type graph struct {
	W, H  int
	SVG   template.HTML
	Words string
	Parts []api.PipelineFigures
}

const (
	boxW, boxH = 140, 84
	gapX, gapY = 22, 22
)

// graphOf draws nodes; live has figures of a run under way, or is nil.
func graphOf(nodes []api.PipelineNode, live *api.PipelineLive) *graph {
	if len(nodes) == 0 {
		return nil
	}
	g := &graph{}
	var rows []int // by column: how many are in it
	column, row := make([]int, len(nodes)), make([]int, len(nodes))
	for i, n := range nodes {
		if n.After >= 0 && n.After < i {
			column[i] = column[n.After] + 1
		}
		for len(rows) <= column[i] {
			rows = append(rows, 0)
		}
		row[i] = rows[column[i]]
		if n.After >= 0 && n.After < i {
			row[i] = max(row[i], row[n.After])
		}
		rows[column[i]] = row[i] + 1
	}
	g.W, g.H = len(rows)*(boxW+gapX)-gapX+4, slices.Max(rows)*(boxH+gapY)-gapY+4
	var b strings.Builder
	at := func(i int) (x, y int) { return 2 + column[i]*(boxW+gapX), 2 + row[i]*(boxH+gapY) }
	var words []string
	for i, n := range nodes {
		x, y := at(i)
		if n.After >= 0 && n.After < i {
			px, py := at(n.After)
			px, py = px+boxW, py+boxH/2
			cy := y + boxH/2
			fmt.Fprintf(&b, `<path class="edge" d="M%d %dC%d %d %d %d %d %d"/><path class="arrow" d="M%d %dl-7 -4v8z"/>`, px, py, px+gapX/2, py, x-gapX/2, cy, x-6, cy, x, cy)
		}
		f := figuresOf(live, n.Label)
		class := "box " + n.Kind
		if f != nil && f.Bottleneck {
			class += " bottleneck"
		}
		fmt.Fprintf(&b, `<g class="%s"><rect x="%d" y="%d" width="%d" height="%d" rx="10"/>`, class, x, y, boxW, boxH)
		write := func(class string, dy int, text string) {
			fmt.Fprintf(&b, `<text class="%s" x="%d" y="%d">%s</text>`, class, x+12, y+dy, template.HTMLEscapeString(text))
		}
		room := 15
		if f != nil && f.Bottleneck {
			room = 5
		}
		write("label", 22, cut(n.Label, room))
		what := n.Component
		if what == "" {
			what = n.Kind
		}
		word := n.Label
		if f == nil {
			write("small", 42, what)
		} else {
			write("small", 42, cut(number(max(f.RowsOut, f.RowsIn))+" rows", 18))
			write("small", 60, digits(f.Rate)+" rows/s")
			share := func(class string, from, part float64) float64 {
				fmt.Fprintf(&b, `<rect class="%s" x="%.1f" y="%d" width="%.1f" height="6"/>`, class, float64(x+12)+from*(boxW-24), y+boxH-15, max(part, 0)*(boxW-24))
				return from + part
			}
			share("share-all", 0, 1)
			share("share-blocked", share("share-busy", 0, min(f.Busy, 1)), min(f.Blocked, 1-min(f.Busy, 1)))
			word += fmt.Sprintf(": %s rows a second, busy %s %%, blocked %s %%", digits(f.Rate), digits(100*f.Busy), digits(100*f.Blocked))
			if f.Bottleneck {
				fmt.Fprintf(&b, `<text class="mark" x="%d" y="%d" text-anchor="end">bottleneck</text>`, x+boxW-12, y+22)
				word += ", the bottleneck"
			}
		}
		b.WriteString(`</g>`)
		words = append(words, word)
	}
	if live != nil {
		g.Parts = live.Nodes
	}
	g.SVG = template.HTML(b.String())
	g.Words = "The parts of the pipeline: " + strings.Join(words, "; ") + "."
	return g
}

func figuresOf(live *api.PipelineLive, label string) *api.PipelineFigures {
	if live == nil {
		return nil
	}
	for i := range live.Nodes {
		if live.Nodes[i].Label == label {
			return &live.Nodes[i]
		}
	}
	return nil
}

// cut is a text that has most letters.
func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}
