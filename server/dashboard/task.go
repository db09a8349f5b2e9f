package dashboard

import (
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// one is a task in full.
type one struct {
	api.Task
	Job      *api.Job // nil where it is not known yet
	Log      []api.LogLine
	More     bool // there were lines before
	LogError string
	After    uint64 // number of the last line
	Progress *api.Progress
	Value    *preview
	Ended    bool
	Own      bool // he may change it
	Siblings siblings
}

// siblings are the tasks beside one of an array job.
type siblings struct{ Before, After string }

const logLines = 500

func (d *Dashboard) task(r *http.Request) (*view, error) {
	id := r.PathValue("id")
	o := new(one)
	if err := d.get(r, "/v1/tasks/"+id, nil, &o.Task); err != nil {
		return nil, err
	}
	var job api.Job
	if d.get(r, "/v1/jobs/"+o.Task.Job, nil, &job) == nil {
		o.Job = &job
		if o.N > 1 {
			o.Siblings.Before = taskID(job.ID, o.N-1)
		}
		if o.N < job.N {
			o.Siblings.After = taskID(job.ID, o.N+1)
		}
	}
	o.Ended = o.Task.Ended != nil
	who := d.o.Who(r)
	o.Own = who.can("admin") || who.can("submit") && who.Owner == o.Owner
	var err error
	if o.Log, o.More, err = d.lines(r, "/v1/tasks/"+id+"/log", logLines); err != nil {
		o.LogError = faultOf(err).Message
	}
	if n := len(o.Log); n > 0 {
		o.After = o.Log[n-1].Seq
	}
	var progress api.Progress
	if d.get(r, "/v1/tasks/"+id+"/progress", nil, &progress) == nil && progress.Time != nil {
		o.Progress = &progress
	}
	if o.State == "COMPLETE" {
		o.Value = d.preview(r, &o.Task)
	}
	title := o.Name
	if title == "" {
		title = "Task"
	}
	if o.Job == nil || o.Job.N > 1 {
		title += " " + number(o.N)
	}
	live := "tasks"
	if o.Ended {
		live = "" // nothing becomes of it by itself
	}
	return &view{Title: title, Nav: "tasks", Live: live, Data: o}, nil
}

// Fraction is the progress of 1000, where what the task tells is a number from 0 to 1 or
// has one called fraction; -1 otherwise.
func (o *one) Fraction() int {
	if o.Progress == nil || o.Progress.Value == nil {
		return -1
	}
	return fraction(o.Progress.Value.JSON)
}

// Took is how long the last attempt took, or has run.
func (o *one) Took() string {
	if o.Started == nil {
		return "–"
	}
	return between(o.Started, o.Task.Ended)
}

// Waited is how long it waited before its last attempt.
func (o *one) Waited() string {
	if o.Submitted == nil {
		return "–"
	}
	if o.Started == nil && o.Task.Ended != nil {
		return between(o.Submitted, o.Task.Ended)
	}
	return between(o.Submitted, o.Started)
}

// Retriable reports whether it can be tried again.
func (o *one) Retriable() bool {
	switch o.State {
	case "ERROR", "CANCELLED", "DIED", "TIMEOUT", "IMPOSSIBLE", "COMPLETE":
		return true
	}
	return false
}

// Since is when the clock of a running task began, for the page's script.
func (o *one) Since() *time.Time {
	if o.State == "RUNNING" {
		return o.Started
	}
	return nil
}

func (d *Dashboard) resultJSON(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d.pass(w, r, "/v1/tasks/"+id+"/result", api.JSON, fileName(id)+".json")
}

func (d *Dashboard) resultRDS(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d.pass(w, r, "/v1/tasks/"+id+"/result", api.R, fileName(id)+".rds")
}

func (d *Dashboard) logText(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	d.pass(w, r, "/v1/tasks/"+id+"/log", api.Text, fileName(id)+".txt")
}

// fileName is an id as the name of a file: of what a path may hold, what an id has.
func fileName(id string) string {
	name := []byte("rpipe-")
	for _, c := range []byte(id) {
		if c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' {
			name = append(name, c)
		}
	}
	return string(name)
}
