package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
	"github.com/rpipe-dev/rpipe/tasks/rvalue"
)

// maxJSON is the largest value that is turned into JSON. A larger one is a reference in
// results, and an error where it is asked for.
const maxJSON = 64 << 20

// getResult answers with the value of a task.
func (s *Server) getResult(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	form, ok := accepts(r, api.JSON, api.R)
	if !ok {
		return notAcceptable(api.JSON, api.R)
	}
	all, err := s.queue.Follow(r.Context(), who.Who, id)
	if err != nil {
		return err
	}
	t := all[0]
	switch {
	case t == nil:
		return missing(queue.ErrMissing, "task", id)
	case t.State != tasks.Complete:
		return noValue(t)
	}
	w.Header().Set("X-Rpipe-Task", t.ID())
	if form == api.JSON {
		text, err := s.valueJSON(r.Context(), t.Result)
		if no := (*notJSON)(nil); errors.As(err, &no) {
			return &api.Fault{Status: http.StatusNotAcceptable, Code: "not_acceptable", Message: no.Error() + ": ask with Accept: " + api.R}
		}
		if err != nil {
			return err
		}
		w.Header().Set("Content-Type", api.JSON)
		w.Write(append(text, '\n'))
		return nil
	}
	value, size, err := s.queue.Open(r.Context(), t.Result)
	if err != nil {
		return err
	}
	defer value.Close()
	w.Header().Set("Content-Type", api.R)
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	return copied(io.Copy(w, value))
}

// noValue says why a task has no value.
func noValue(t *tasks.Task) error {
	if !t.State.Final() {
		return &api.Fault{Status: http.StatusConflict, Code: "not_complete", Message: fmt.Sprintf("task %s is %s: it has no value yet; POST /v1/wait waits for it", t.ID(), t.State)}
	}
	message := fmt.Sprintf("task %s is %s and has no value", t.ID(), t.State)
	if t.Failure != nil {
		message += ": " + t.Failure.Message
	}
	return &api.Fault{Status: http.StatusConflict, Code: "failed", Message: message}
}

// valueJSON is a value as JSON; a *notJSON error says that it is to be had in R's form alone.
func (s *Server) valueJSON(ctx context.Context, v tasks.Value) ([]byte, error) {
	switch {
	case v.IsZero():
		return []byte("null"), nil
	case v.Size > maxJSON:
		return nil, &notJSON{fmt.Errorf("it has %s, and JSON is made of at most %s", bytesText(v.Size), bytesText(maxJSON))}
	}
	stream, err := s.queue.Bytes(ctx, v, maxJSON)
	if err != nil {
		return nil, err
	}
	if stream, err = rvalue.Within(stream, maxJSON); err != nil {
		return nil, &notJSON{err}
	}
	text, err := rvalue.ToJSON(stream, nil)
	if err != nil {
		return nil, &notJSON{err}
	}
	return text, nil
}

// notJSON is why a value is not made JSON: it would be too long, or is damaged.
type notJSON struct{ why error }

func (e *notJSON) Error() string { return "the value as JSON: " + e.why.Error() }
func (e *notJSON) Unwrap() error { return e.why }

// document is a value in a document: JSON, or, where it is not made JSON, its reference, or
// R's form of a short one that has none.
func (s *Server) document(ctx context.Context, v tasks.Value) (*api.Value, error) {
	text, err := s.valueJSON(ctx, v)
	var no *notJSON
	switch {
	case errors.As(err, &no) && v.Ref != "":
		return &api.Value{Ref: v.Ref}, nil
	case errors.As(err, &no):
		return &api.Value{R: v.Data}, nil
	case err != nil:
		return nil, err
	}
	return &api.Value{JSON: text}, nil
}

// copied makes an error of copying one of an answer that has begun.
func copied(_ int64, err error) error {
	if err != nil {
		return &begunError{err}
	}
	return nil
}

// getResults answers with those of a job, as many as there are.
func (s *Server) getResults(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	job, err := s.queue.Job(r.Context(), who.Who, id)
	if err != nil {
		return missing(err, "job", id)
	}
	form, ok := accepts(r, api.Lines, api.JSON, api.R)
	if !ok {
		return notAcceptable(api.Lines, api.R)
	}
	o, err := resultsOptions(r, job)
	if err != nil {
		return err
	}
	if form == api.R {
		if o.Follow || o.AsEnded {
			return invalidField("follow", "follow and order=ended are for lines of JSON: an R list needs to know its length")
		}
		return s.resultsR(w, r, who, job, o)
	}
	ctx := r.Context()
	if o.Follow {
		var release func()
		if ctx, release, err = s.last(r, who); err != nil {
			return err
		}
		defer release()
	}
	names, err := s.queue.Names(r.Context(), job)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", api.Lines)
	out := newLines(w, o.Follow)
	err = s.queue.Results(ctx, who.Who, id, o, func(n int, t *tasks.Task) error {
		line := api.Result{ID: t.ID(), N: n, Element: element(names, n), State: string(t.State), Failure: failureOf(t.Failure)}
		if t.State == tasks.Complete {
			if line.Value, err = s.document(ctx, t.Result); err != nil {
				return err
			}
			line.Failure = nil
		}
		return out.write(&line)
	})
	return out.end(err)
}

func resultsOptions(r *http.Request, job *tasks.Job) (queue.ResultsOptions, error) {
	q := r.URL.Query()
	o := queue.ResultsOptions{From: 1}
	n, err := intOf(q, "from", 1, 1<<31-1)
	if err != nil {
		return o, err
	}
	o.From = max(n, 1)
	if n, err = intOf(q, "limit", 1, 1<<31-1); err != nil {
		return o, err
	}
	if o.To = job.N; n > 0 {
		o.To = min(job.N, o.From+n-1)
	}
	if o.Follow, err = boolOf(q, "follow"); err != nil {
		return o, err
	}
	switch order := q.Get("order"); order {
	case "", "number":
	case "ended":
		o.AsEnded = true
	default:
		return o, invalidField("order", strconv.Quote(order)+" is none: there are number and ended")
	}
	return o, nil
}

func element(names []string, n int) string {
	if n <= len(names) {
		return names[n-1]
	}
	return ""
}

// getResultsByName answers with the values of the newest job of a name: restbatch's
// GET /info/results?task_name=.
func (s *Server) getResultsByName(w http.ResponseWriter, r *http.Request, who *who) error {
	asker, name := who.Who, r.PathValue("name")
	if owner := r.URL.Query().Get("owner"); owner != "" && owner != asker.Owner {
		if !asker.Read && !asker.Admin {
			return missing(queue.ErrMissing, "job", strconv.Quote(name))
		}
		asker.Owner = owner
	}
	job, err := s.queue.JobNamed(r.Context(), asker, name)
	if err != nil {
		return missing(err, "job named", strconv.Quote(name))
	}
	row, err := s.row(r.Context(), who, job.ID)
	if err != nil {
		return err
	}
	if _, done := summary(row); !done {
		return unavailable("not_complete", fmt.Sprintf("job %s has not ended: GET /v1/jobs/%s says how far it is", strconv.Quote(name), job.ID))
	}
	w.Header().Set("Content-Type", api.JSON)
	b := bufio.NewWriterSize(w, 32<<10)
	head, err := json.Marshal(map[string]string{"id": job.ID, "name": job.Name})
	if err != nil {
		return err
	}
	b.Write(bytes.TrimSuffix(head, []byte("}")))
	b.WriteString(`,"values":[`)
	failed, next := map[string]string{}, 1
	gap := func(to int) {
		for ; next < to; next++ {
			if next > 1 {
				b.WriteByte(',')
			}
			b.WriteString("null")
		}
	}
	err = s.queue.Results(r.Context(), who.Who, job.ID, queue.ResultsOptions{From: 1}, func(n int, t *tasks.Task) error {
		gap(n)
		text := []byte("null")
		if t.State == tasks.Complete {
			v, err := s.document(r.Context(), t.Result)
			if err != nil {
				return err
			}
			if text, err = json.Marshal(v); err != nil {
				return err
			}
		} else if t.Failure != nil {
			failed[strconv.Itoa(n)] = t.Failure.Message
		}
		if n > 1 {
			b.WriteByte(',')
		}
		next = n + 1
		_, err := b.Write(text)
		return err
	})
	if err != nil {
		return &begunError{err}
	}
	gap(job.N + 1)
	b.WriteString("]")
	if len(failed) > 0 {
		text, err := json.Marshal(failed)
		if err != nil {
			return &begunError{err}
		}
		b.WriteString(`,"errors":`)
		b.Write(text)
	}
	b.WriteString("}\n")
	if err := b.Flush(); err != nil {
		return &begunError{err}
	}
	return nil
}

// lines writes documents, one a line.
type lines struct {
	w     http.ResponseWriter
	b     *bufio.Writer
	begun bool
	each  bool // a line goes out at once
}

func newLines(w http.ResponseWriter, each bool) *lines {
	l := &lines{w: w, b: bufio.NewWriterSize(w, 32<<10), each: each}
	if each {
		http.NewResponseController(w).Flush() // the client learns that it is connected
		l.begun = true
	}
	return l
}

func (l *lines) write(document any) error {
	text, err := json.Marshal(document)
	if err != nil {
		return err
	}
	l.begun = true
	l.b.Write(text)
	err = l.b.WriteByte('\n')
	if err == nil && l.each {
		if err = l.b.Flush(); err == nil {
			err = http.NewResponseController(l.w).Flush()
		}
	}
	return err
}

// end ends the answer: what went wrong is a fault where nothing has been written.
func (l *lines) end(err error) error {
	if err == nil {
		err = l.b.Flush()
	} else if !l.begun {
		return err
	}
	if err != nil {
		return &begunError{err}
	}
	return nil
}
