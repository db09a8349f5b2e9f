package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

func (s *Server) listJobs(w http.ResponseWriter, r *http.Request, who *who) error {
	f, err := filterOf(r)
	if err != nil {
		return err
	}
	rows, next, err := s.queue.Jobs(r.Context(), who.Who, f)
	if err != nil {
		return err
	}
	s.incomplete(w)
	out := api.Jobs{Jobs: make([]api.Job, 0, len(rows)), Next: next}
	for i := range rows {
		out.Jobs = append(out.Jobs, *jobOf(&rows[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getJob(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	row, err := s.row(r.Context(), who, id)
	if err != nil {
		return err
	}
	return writeJSON(w, 200, jobOf(row))
}

// row is a job with its counts. While the index is made anew a job that it has not got
// yet is not missing.
func (s *Server) row(ctx context.Context, who *who, id string) (*index.JobRow, error) {
	row, err := s.queue.Row(ctx, who.Who, id)
	if err == nil {
		return &row, nil
	}
	if errors.Is(err, queue.ErrMissing) && s.index.Status().Rebuilding {
		if _, err := s.queue.Job(ctx, who.Who, id); err == nil {
			return nil, unavailable("index", "the index is being made anew and has not got to this job yet")
		}
	}
	return nil, missing(err, "job", id)
}

// incomplete says with a list that the index is being made anew.
func (s *Server) incomplete(w http.ResponseWriter) {
	if s.index.Status().Rebuilding {
		w.Header().Set("X-Rpipe-Index", "rebuilding")
	}
}

func (s *Server) listTasks(w http.ResponseWriter, r *http.Request, who *who) error {
	f, err := filterOf(r)
	if err != nil {
		return err
	}
	if r.PathValue("id") != "" {
		if f.Job, err = jobID(r); err != nil {
			return err
		}
		if _, err := s.queue.Job(r.Context(), who.Who, f.Job); err != nil {
			return missing(err, "job", f.Job)
		}
	}
	rows, next, err := s.queue.Tasks(r.Context(), who.Who, f)
	if err != nil {
		return err
	}
	s.incomplete(w)
	out := api.Tasks{Tasks: make([]api.Task, 0, len(rows)), Next: next}
	for i := range rows {
		out.Tasks = append(out.Tasks, rowOf(&rows[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) countTasks(w http.ResponseWriter, r *http.Request, who *who) error {
	f, err := filterOf(r)
	if err != nil {
		return err
	}
	counts, err := s.queue.Counts(r.Context(), who.Who, f)
	if err != nil {
		return err
	}
	s.incomplete(w)
	out := api.Counts{States: statesOf(counts)}
	for _, n := range counts {
		out.Total += n
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getTask(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	t, j, err := s.task(r, who, id)
	if err != nil {
		return err
	}
	out := taskOf(t, j)
	if names, err := s.queue.Names(r.Context(), j); err == nil && t.N <= len(names) {
		out.Element = names[t.N-1]
	}
	if t.State == tasks.Pending && !t.Held {
		if ahead, err := s.queue.Position(r.Context(), who.Who, id); err == nil && ahead >= 0 {
			out.Ahead = &ahead
		}
	}
	return writeJSON(w, 200, out)
}

// task is the record of a task, with its job.
func (s *Server) task(r *http.Request, who *who, id string) (*tasks.Task, *tasks.Job, error) {
	all, err := s.queue.Get(r.Context(), who.Who, id)
	if err != nil {
		return nil, nil, missing(err, "task", id)
	}
	if len(all) == 0 || all[0] == nil {
		return nil, nil, missing(queue.ErrMissing, "task", id)
	}
	j, err := s.queue.Job(r.Context(), who.Who, all[0].Job)
	if err != nil {
		return nil, nil, missing(err, "job", all[0].Job)
	}
	return all[0], j, nil
}

// missing names what is not there, or not there for who asks.
func missing(err error, what, id string) error {
	f := faultOf(err)
	if f.Status != http.StatusNotFound {
		return err
	}
	return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: fmt.Sprintf("there is no %s %s, or it has expired, or is another's", what, id)}
}

// jobID and taskID are the ids of the path.
func jobID(r *http.Request) (string, error) {
	id := strings.ToLower(r.PathValue("id"))
	_, n, err := tasks.ParseID(id)
	if err == nil && n != 0 {
		err = fmt.Errorf("%s is the id of a task, and this is about jobs: leave out .%d", id, n)
	}
	if err != nil {
		return "", invalidField("id", err.Error())
	}
	return id, nil
}

func taskID(r *http.Request) (string, error) {
	id := strings.ToLower(r.PathValue("id"))
	_, n, err := tasks.ParseID(id)
	if err == nil && n == 0 {
		err = fmt.Errorf("%s is the id of a job, and this is about tasks, such as %s.1", id, id)
	}
	if err != nil {
		return "", invalidField("id", err.Error())
	}
	return id, nil
}

// groups of states that have a word.
var groups = map[string][]tasks.State{
	"unfinished": {tasks.Pending, tasks.Deferred, tasks.Running},
	"failed":     {tasks.Error, tasks.Cancelled, tasks.Died, tasks.Timeout, tasks.Impossible},
}

// filterOf reads the query of a list.
func filterOf(r *http.Request) (index.Filter, error) {
	q := r.URL.Query()
	f := index.Filter{
		Owner: q.Get("owner"), Job: q.Get("job"), Name: q.Get("name"), Queue: q.Get("queue"), Worker: q.Get("worker"),
		Text: q.Get("text"), After: q.Get("after"),
	}
	if f.Job != "" {
		if _, n, err := tasks.ParseID(f.Job); err != nil || n != 0 {
			return f, invalidField("job", strconv.Quote(f.Job)+" is not the id of a job")
		}
	}
	for _, words := range q["state"] {
		for word := range strings.SplitSeq(words, ",") {
			word = strings.TrimSpace(word)
			state := tasks.State(strings.ToUpper(word))
			switch group := groups[strings.ToLower(word)]; {
			case group != nil:
				f.States = append(f.States, group...)
			case state.Known():
				f.States = append(f.States, state)
			default:
				return f, invalidField("state", unknownState(word))
			}
		}
	}
	for _, label := range q["label"] {
		name, value, ok := strings.Cut(label, "=")
		if !ok || name == "" {
			return f, invalidField("label", strconv.Quote(label)+" is no label: say name=value")
		}
		if f.Labels == nil {
			f.Labels = map[string]string{}
		}
		f.Labels[name] = value
	}
	var err error
	if f.Since, err = timeOf(q, "since"); err != nil {
		return f, err
	}
	if f.Until, err = timeOf(q, "until"); err != nil {
		return f, err
	}
	if f.Limit, err = intOf(q, "limit", 1, index.MaxLimit); err != nil {
		return f, err
	}
	switch order := q.Get("order"); order {
	case "", "newest":
	case "oldest":
		f.Oldest = true
	default:
		return f, invalidField("order", strconv.Quote(order)+" is none: there are newest and oldest")
	}
	return f, nil
}

func unknownState(word string) string {
	known := []string{"unfinished", "failed"}
	for _, s := range tasks.States {
		known = append(known, string(s))
	}
	message := strconv.Quote(word) + " is no state: there are " + strings.Join(known, ", ")
	if near := configs.DidYouMean(strings.ToUpper(word), known); strings.HasPrefix(near, "did") {
		message += "; " + near
	}
	return message
}

// timeOf is a time of the query: RFC 3339, a day, or so long ago.
func timeOf(q url.Values, name string) (time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if d, err := configs.ParseDuration(text); err == nil {
		return time.Now().Add(-time.Duration(d)), nil
	}
	return time.Time{}, invalidField(name, strconv.Quote(text)+" is no time: say one such as 2026-01-31T08:00:00Z (with + as %2B), a day such as 2026-01-31, or a duration before now such as 1h")
}

// intOf is a number of the query; 0 where there is none.
func intOf(q url.Values, name string, least, most int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, invalidField(name, fmt.Sprintf("%q is not a number from %d to %d", text, least, most))
	}
	return n, nil
}

// boolOf is a switch of the query: ?name and ?name=true set it.
func boolOf(q url.Values, name string) (bool, error) {
	if !q.Has(name) {
		return false, nil
	}
	text := q.Get(name)
	if text == "" {
		return true, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalidField(name, strconv.Quote(text)+" is neither true nor false")
	}
	return on, nil
}

// known refuses parameters that an operation does not have: most likely misspelled ones.
func known(r *http.Request, route *api.Route) error {
	q := r.URL.Query()
	names := make([]string, 0, len(route.Query))
	for _, p := range route.Query {
		names = append(names, p.Name)
	}
	for name := range q {
		if slices.Contains(names, name) {
			continue
		}
		message := "there is no such parameter"
		if near := configs.DidYouMean(name, names); near != "" {
			message += "; " + near
		}
		return invalidField(name, message)
	}
	return nil
}
