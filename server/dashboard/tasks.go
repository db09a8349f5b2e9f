package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// list is a page of tasks or jobs, and by what it is filtered.
type list struct {
	Filter   filter
	Tasks    []api.Task
	Jobs     []api.Job
	Counts   []count
	Total    int64
	Next     string // address of the next page; "" on the last
	First    string // of the first page, on another
	States   []string
	Queues   []string
	Everyone bool // he may see what is everybody's
	Path     string
	Problem  string // what is wrong with the filter
}

// filter is what a list is limited to.
type filter struct{ State, Queue, Owner, Name, Label, Since, Text, Job, Worker, After string }

// Any reports whether there is a limit.
func (f filter) Any() bool {
	f.After = ""
	return f != filter{}
}

// More reports whether there is one in the part of the form that is folded away.
func (f filter) More() bool { return f.Name+f.Label+f.Owner+f.Since+f.Job+f.Worker != "" }

func filterOf(r *http.Request) filter {
	q := r.URL.Query()
	f := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return filter{f("state"), f("queue"), f("owner"), f("name"), f("label"), f("since"), f("text"), f("job"), f("worker"), f("after")}
}

// query is the filter as the API and the pages' addresses have it.
func (f filter) query() url.Values {
	return values("state", f.State, "queue", f.Queue, "owner", f.Owner, "name", f.Name, "label", f.Label, "since", f.Since, "text", f.Text, "job", f.Job, "worker", f.Worker, "after", f.After)
}

// With is the query for another state.
func (f filter) With(state string) string {
	f.State, f.After = state, ""
	return "?" + f.query().Encode()
}

func (d *Dashboard) newList(r *http.Request, path string) (*list, error) {
	l := &list{Filter: filterOf(r), States: append([]string{"unfinished", "failed"}, stateNames()...), Path: path}
	who := d.o.Who(r)
	l.Everyone = who.can("read", "admin")
	var queues api.Queues
	if err := d.get(r, "/v1/queues", nil, &queues); err != nil {
		return nil, err
	}
	for _, q := range queues.Queues {
		l.Queues = append(l.Queues, q.Name)
	}
	if q := l.Filter.Queue; q != "" && !slices.Contains(l.Queues, q) {
		l.Queues = append(l.Queues, q)
	}
	return l, nil
}

// fill asks for a page, and for the numbers beside it. What is wrong with the filter is
// shown beside the form.
func (d *Dashboard) fill(r *http.Request, l *list, into any, next func() string) error {
	q := l.Filter.query()
	q.Set("limit", "50")
	err := d.get(r, "/v1"+l.Path, q, into)
	if f := faultOf(err); err != nil && f.Status == http.StatusBadRequest {
		l.Problem = f.Error()
		return nil
	}
	if err != nil {
		return err
	}
	var counts api.Counts
	q = l.Filter.query()
	for _, name := range []string{"after", "worker", "state"} {
		q.Del(name)
	}
	if err := d.get(r, "/v1/counts", q, &counts); err != nil {
		return err
	}
	l.Counts, l.Total = countsOf(counts.States), counts.Total
	f := l.Filter
	if f.After != "" {
		f.After = ""
		l.First = "?" + f.query().Encode()
	}
	if f.After = next(); f.After != "" {
		l.Next = "?" + f.query().Encode()
	}
	return nil
}

func (d *Dashboard) tasks(r *http.Request) (*view, error) {
	l, err := d.newList(r, "/tasks")
	if err != nil {
		return nil, err
	}
	var found api.Tasks
	if err := d.fill(r, l, &found, func() string { return found.Next }); err != nil {
		return nil, err
	}
	l.Tasks = found.Tasks
	return &view{Title: "Tasks", Nav: "tasks", Live: "tasks", Data: l}, nil
}

func (d *Dashboard) jobs(r *http.Request) (*view, error) {
	l, err := d.newList(r, "/jobs")
	if err != nil {
		return nil, err
	}
	var found api.Jobs
	if err := d.fill(r, l, &found, func() string { return found.Next }); err != nil {
		return nil, err
	}
	l.Jobs = found.Jobs
	return &view{Title: "Jobs", Nav: "jobs", Live: "tasks", Data: l}, nil
}
