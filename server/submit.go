package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
	"github.com/rpipe-dev/rpipe/tasks/rvalue"
)

// maxOver is the largest value that is cut into elements.
const maxOver = 1 << 30

func (s *Server) submitJob(w http.ResponseWriter, r *http.Request, who *who) error {
	var in api.Submission
	switch t := mediaType(r); t {
	case api.R:
		if err := s.readR(r, &in); err != nil {
			return err
		}
	default:
		if err := s.readJSON(r, &in); err != nil {
			return err
		}
	}
	sub, err := s.submission(r, &in)
	if err != nil {
		return err
	}
	job, existing, err := s.queue.Submit(r.Context(), who.Who, sub)
	if err != nil {
		return err
	}
	changes(r, job.ID)
	out, status := submitted(job), http.StatusCreated
	if existing {
		row, err := s.row(r.Context(), who, job.ID)
		if err != nil {
			return err
		}
		out, status = jobOf(row), http.StatusOK
		out.Existing = true
	}
	w.Header().Set("Location", "/v1/jobs/"+job.ID)
	return writeJSON(w, status, out)
}

// submission is what a document says, for the queue.
func (s *Server) submission(r *http.Request, in *api.Submission) (*queue.Submission, error) {
	out := &queue.Submission{Job: tasks.Job{
		ID: in.ID, Key: in.Key, Name: in.Name, Labels: in.Labels, Queue: in.Queue, DependsOn: in.DependsOn,
		Timeout: time.Duration(in.Timeout), Isolate: in.Isolate, Memory: int64(in.Memory), CPU: time.Duration(in.CPU),
		Seed: in.Seed, MaxRunning: in.MaxRunning, ResultTTL: time.Duration(in.ResultTTL), Lane: tasks.Normal,
	}}
	j := &out.Job
	if in.Priority != "" || in.Front {
		lane, err := laneOf(in.Priority, in.Front)
		if err != nil {
			return nil, err
		}
		j.Lane = lane
	}
	switch {
	case in.RunAt != nil && in.Delay != 0:
		return nil, invalidField("delay", "stands beside run_at; one of them is enough")
	case in.RunAt != nil:
		j.NotBefore = in.RunAt.UTC()
	case in.Delay != 0:
		j.NotBefore = time.Now().UTC().Add(time.Duration(in.Delay))
	}
	if p := in.Retry; p != nil {
		j.Retry = tasks.Retry{
			Errors: p.Errors, Timeouts: p.Timeouts, Lost: p.Lost, Classes: p.Classes,
			Delay: time.Duration(p.Delay), MaxDelay: time.Duration(p.MaxDelay),
		}
	}
	if err := call(in, &j.Call); err != nil {
		return nil, err
	}
	if in.Over == nil {
		if in.Rows || in.OverName != "" {
			return nil, invalidField("over", "rows and over_name are about elements, and there are none")
		}
		return out, nil
	}
	out.Array = true
	j.Over = tasks.Over{Rows: in.Rows, Name: in.OverName}
	if in.Rows && in.OverName != "" {
		return nil, invalidField("over_name", "stands beside rows, whose columns are arguments by their own names")
	}
	elements, names, err := s.elements(r, in)
	switch {
	case err != nil:
		return nil, err
	case len(elements) == 0:
		return nil, invalidField("over", "has no elements, so there is nothing to run")
	}
	out.Elements, j.Over.Names = elements, names
	return out, nil
}

// call is what R does.
func call(in *api.Submission, c *tasks.Call) error {
	field, code := "fun", in.Fun
	c.Kind = tasks.CallFunction
	switch {
	case in.Fun != nil && in.Expr != nil:
		return invalidField("expr", "stands beside fun; a job is one of them")
	case in.Expr != nil:
		field, code, c.Kind = "expr", in.Expr, tasks.CallExpr
	case in.Fun == nil:
		return invalidField("fun", `says what R is to do, and is missing: a function as text, such as "function(x) x^2", or a name, such as "stats::rnorm"; or expr`)
	}
	switch {
	case code.R != nil && !serialized(code.R):
		return invalidField(field, "$r is not base64 of what serialize() makes")
	case code.R != nil:
		c.Code = tasks.Value{Data: code.R, Size: int64(len(code.R))}
	case code.Ref != "":
		if err := checkRef(code.Ref); err != nil {
			return invalidField(field, err.Error())
		}
		c.Code = tasks.Value{Ref: code.Ref}
	case code.Task != "":
		return invalidField(field, "cannot be the result of a task")
	default:
		var text string
		if err := json.Unmarshal(code.JSON, &text); err != nil || text == "" {
			return invalidField(field, "must be R source text, or {\"$r\": …} with a serialized one")
		}
		c.Code, c.Text = tasks.Value{Data: []byte(text), Size: int64(len(text))}, true
	}
	c.Packages, c.Env = in.Packages, in.Environment
	for i, a := range in.Args {
		v, task, err := valueOf(a.Value)
		if err != nil {
			return invalidField("args."+nameOf(a, i), err.Error())
		}
		c.Args = append(c.Args, tasks.Arg{Name: a.Name, Value: v, Task: task})
	}
	return nil
}

func nameOf(a api.Arg, i int) string {
	if a.Name != "" {
		return a.Name
	}
	return strconv.Itoa(i + 1)
}

// valueOf is a value of a document, as R has it, or the task whose result it is.
func valueOf(v api.Value) (value tasks.Value, task string, err error) {
	switch {
	case v.Task != "":
		return value, v.Task, nil
	case v.Ref != "":
		return tasks.Value{Ref: v.Ref}, "", checkRef(v.Ref)
	case v.R != nil && !serialized(v.R):
		return value, "", errors.New("$r is not base64 of what serialize() makes")
	case v.R != nil:
		return tasks.Value{Data: v.R, Size: int64(len(v.R))}, "", nil
	}
	stream, err := rvalue.FromJSON(v.JSON)
	if err != nil {
		return value, "", err
	}
	return tasks.Value{Data: stream, Size: int64(len(stream))}, "", nil
}

// elements are those of an array job, each an R stream.
func (s *Server) elements(r *http.Request, in *api.Submission) (elements [][]byte, names []string, err error) {
	stream := in.Over.R
	switch {
	case in.Over.Task != "":
		return nil, nil, invalidField("over", "cannot be the result of a task, since it must be known how many elements there are")
	case in.Over.Ref != "":
		if err := checkRef(in.Over.Ref); err != nil {
			return nil, nil, invalidField("over", err.Error())
		}
		if stream, err = s.queue.Bytes(r.Context(), tasks.Value{Ref: in.Over.Ref}, maxOver); err != nil {
			return nil, nil, fmt.Errorf("over: %w", err)
		}
	case stream == nil:
		return s.elementsOfJSON(in)
	}
	if stream, err = rvalue.Within(stream, min(maxOver, int64(s.limits.Load().Value))); err != nil {
		return nil, nil, tooLong(err, "over")
	}
	if in.Rows {
		// The names of a frame's rows say nothing.
		elements, _, err = rvalue.Rows(stream, s.limits.Load().Tasks)
	} else {
		elements, names, err = rvalue.Split(stream, s.limits.Load().Tasks)
	}
	if err != nil {
		return nil, nil, invalidField("over", err.Error())
	}
	return elements, names, nil
}

func (s *Server) elementsOfJSON(in *api.Submission) ([][]byte, []string, error) {
	d := json.NewDecoder(bytes.NewReader(in.Over.JSON))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, nil, invalidField("over", "must be an array, or an R value as {\"$r\": …} or {\"$ref\": …}")
	}
	var elements [][]byte
	for d.More() {
		var element json.RawMessage
		if err := d.Decode(&element); err != nil {
			return nil, nil, invalidField("over", err.Error())
		}
		at := fmt.Sprintf("over[%d]", len(elements))
		if in.Rows && element[0] != '{' {
			return nil, nil, invalidField(at, "must be an object: with rows, an element is arguments by name")
		}
		stream, err := rvalue.FromJSON(element)
		if err != nil {
			return nil, nil, invalidField(at, err.Error())
		}
		elements = append(elements, stream)
		if err := s.enough(len(elements)); err != nil {
			return nil, nil, err
		}
	}
	return elements, nil, nil
}

func (s *Server) enough(n int) error {
	if most := s.limits.Load().Tasks; n > most {
		return invalidField("over", fmt.Sprintf("has more than %d elements (limits.tasks): submit several jobs, or give each task more to do", most))
	}
	return nil
}

// laneOf is a place within a queue.
func laneOf(priority string, front bool) (tasks.Lane, error) {
	if front {
		if priority != "" {
			return 0, invalidField("front", "stands beside priority; one of them is enough")
		}
		return tasks.Front, nil
	}
	switch priority {
	case "high":
		return tasks.High, nil
	case "normal", "":
		return tasks.Normal, nil
	case "low":
		return tasks.Low, nil
	}
	return 0, invalidField("priority", strconv.Quote(priority)+" is none: there are high, normal and low")
}
