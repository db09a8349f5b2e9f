package dashboard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// whole is a job in full.
type whole struct {
	api.Job
	Counts   []count
	Segments []segment
	Cells    []cell
	Size     int // tasks of a cell
	From, To int
	Up       string // to the cells around; "" at the top
	Failures []api.Task
	Own      bool
	Complete int64
}

// cell is a part of a job in its picture.
type cell struct {
	From, To    int
	State, Mark string
	Title       string
	Href        string
	Segments    []segment // of one that is of several states
}

// segment is a share of a whole, in thousandths.
type segment struct {
	State, Class string
	X, W         int
	N            int64
}

const cellsMost = 400

func (d *Dashboard) job(r *http.Request) (*view, error) {
	id := r.PathValue("id")
	j := new(whole)
	if err := d.get(r, "/v1/jobs/"+id, nil, &j.Job); err != nil {
		return nil, err
	}
	j.Counts = countsOf(j.States)
	j.Segments = segments(j.States)
	j.Complete = j.States["COMPLETE"]
	who := d.o.Who(r)
	j.Own = who.can("admin") || who.can("submit") && who.Owner == j.Owner
	if j.N > 1 {
		if err := d.cells(r, j); err != nil {
			return nil, err
		}
	}
	var failed api.Tasks
	if err := d.get(r, "/v1/jobs/"+id+"/tasks", values("state", failedStates, "limit", "8", "order", "oldest"), &failed); err != nil {
		return nil, err
	}
	j.Failures = failed.Tasks
	title := j.Name
	if title == "" {
		title = "Job"
	}
	live := "tasks"
	if j.Done {
		live = ""
	}
	return &view{Title: title, Nav: "jobs", Live: live, Data: j}, nil
}

// cells are the picture of a job, or of the part of it that the address names.
func (d *Dashboard) cells(r *http.Request, j *whole) error {
	q := r.URL.Query()
	from, _ := strconv.Atoi(q.Get("from"))
	to, _ := strconv.Atoi(q.Get("to"))
	if from < 1 || from > j.N {
		from = 1
	}
	if to < from || to > j.N {
		to = j.N
	}
	var parts api.Cells
	err := d.get(r, "/v1/jobs/"+j.ID+"/cells", values("from", strconv.Itoa(from), "to", strconv.Itoa(to), "cells", strconv.Itoa(cellsMost)), &parts)
	if err != nil {
		return err
	}
	j.From, j.To, j.Size = parts.From, parts.To, parts.Size
	if from > 1 || to < j.N {
		j.Up = "/ui/jobs/" + j.ID
	}
	for i, states := range parts.Cells {
		c := cell{From: parts.From + i*parts.Size}
		c.To = min(c.From+parts.Size-1, parts.To)
		c.Href = fmt.Sprintf("/ui/jobs/%s?from=%d&to=%d#cells", j.ID, c.From, c.To)
		if parts.Size == 1 {
			c.Href = "/ui/tasks/" + taskID(j.ID, c.From)
		}
		for _, s := range worst {
			if states[s] > 0 {
				c.State, c.Mark = s, stateMarks[s]
				break
			}
		}
		var told []string
		for _, n := range countsOf(states) {
			if parts.Size == 1 {
				told = append(told, n.State)
			} else {
				told = append(told, number(n.N)+" "+n.State)
			}
		}
		if len(told) == 0 {
			told = []string{"deleted"}
		}
		if parts.Size == 1 {
			c.Title = fmt.Sprintf("Task %s: %s", number(c.From), told[0])
		} else {
			c.Title = fmt.Sprintf("Tasks %s to %s: %s", number(c.From), number(c.To), strings.Join(told, ", "))
		}
		if len(states) > 1 {
			c.Segments = segments(states)
		}
		j.Cells = append(j.Cells, c)
	}
	return nil
}

// segments are the shares of states, what is bad first.
func segments(states map[string]int64) []segment {
	var total int64
	for _, n := range states {
		total += n
	}
	var all []segment
	var widths []float64
	sum := 0.0
	for _, s := range []string{"COMPLETE", "RUNNING", "ERROR", "DIED", "TIMEOUT", "IMPOSSIBLE", "CANCELLED", "MOVED", "DEFERRED", "PENDING"} {
		if n := states[s]; n > 0 {
			w := max(float64(n)/float64(total), 0.012) // one of a million is seen, too
			all, widths, sum = append(all, segment{State: s, Class: stateClasses[s], N: n}), append(widths, w), sum+w
		}
	}
	x := 0.0
	for i := range all {
		all[i].X = int(x)
		x += widths[i] / sum * 1000
		all[i].W = int(x) - all[i].X
	}
	if n := len(all); n > 0 {
		all[n-1].W = 1000 - all[n-1].X
	}
	return all
}

// Legend are the states of the picture.
func (j *whole) Legend() []cell {
	var all []cell
	for _, c := range j.Counts {
		all = append(all, cell{State: c.State, Mark: stateMarks[c.State], Title: number(c.N)})
	}
	return all
}

// Retriable reports whether tasks of it can be tried again.
func (j *whole) Retriable() bool {
	for _, s := range []string{"ERROR", "DIED", "TIMEOUT", "IMPOSSIBLE", "CANCELLED"} {
		if j.States[s] > 0 {
			return true
		}
	}
	return false
}
