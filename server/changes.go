package server

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// change deals with tasks and jobs. The request says how.
type change func(r *http.Request, who *who, ids []string, with *api.RetryRequest) ([]queue.Outcome, error)

func (s *Server) cancelIDs(r *http.Request, who *who, ids []string, _ *api.RetryRequest) ([]queue.Outcome, error) {
	return s.queue.Cancel(r.Context(), who.Who, ids)
}

func (s *Server) deleteIDs(r *http.Request, who *who, ids []string, _ *api.RetryRequest) ([]queue.Outcome, error) {
	return s.queue.Delete(r.Context(), who.Who, ids)
}

func (s *Server) retryIDs(r *http.Request, who *who, ids []string, with *api.RetryRequest) ([]queue.Outcome, error) {
	o := queue.RetryOptions{Queue: with.Queue}
	if with.Priority != "" || with.Front {
		lane, err := laneOf(with.Priority, with.Front)
		if err != nil {
			return nil, err
		}
		o.Lane = &lane
	}
	if with.Memory != nil {
		o.Memory = int64(*with.Memory)
	}
	if with.Timeout != nil {
		o.Timeout = time.Duration(*with.Timeout)
	}
	return s.queue.Retry(r.Context(), who.Who, ids, o)
}

// one answers a route whose path names a task or job.
func (s *Server) one(do change) operation {
	return func(w http.ResponseWriter, r *http.Request, who *who) error {
		parse, what := taskID, "task"
		if strings.HasPrefix(r.URL.Path, "/v1/jobs/") {
			parse, what = jobID, "job"
		}
		id, err := parse(r)
		if err != nil {
			return err
		}
		var with api.RetryRequest
		if strings.HasSuffix(r.URL.Path, "/retry") {
			if err := s.readJSON(r, &with); err != nil {
				return err
			}
			if len(with.IDs) > 0 {
				return invalidField("ids", "the path says which; POST /v1/retry takes several")
			}
		}
		outcomes, err := do(r, who, []string{id}, &with)
		if err != nil {
			return missing(err, what, id)
		}
		if err := outcomes[0].Err; err != nil {
			return missing(err, what, id)
		}
		return writeJSON(w, 200, outcomeOf(&outcomes[0]))
	}
}

// many answers a route whose body names tasks and jobs.
func (s *Server) many(do change) operation {
	return func(w http.ResponseWriter, r *http.Request, who *who) error {
		var in api.RetryRequest
		if strings.HasSuffix(r.URL.Path, "/retry") {
			if err := s.readJSON(r, &in); err != nil {
				return err
			}
		} else {
			var named api.IDs
			if err := s.readJSON(r, &named); err != nil {
				return err
			}
			in.IDs = named.IDs
		}
		ids, err := s.ids(in.IDs)
		if err != nil {
			return err
		}
		changes(r, ids...)
		outcomes, err := do(r, who, ids, &in)
		if err != nil {
			return err
		}
		out := api.Outcomes{Outcomes: make([]api.Outcome, 0, len(outcomes))}
		for i := range outcomes {
			out.Outcomes = append(out.Outcomes, *outcomeOf(&outcomes[i]))
		}
		return writeJSON(w, 200, &out)
	}
}

// ids checks those of a body.
func (s *Server) ids(in []string) ([]string, error) {
	switch most := s.limits.Load().IDs; {
	case len(in) == 0:
		return nil, invalidField("ids", "says which tasks or jobs, and is missing or empty")
	case len(in) > most:
		return nil, invalidField("ids", "are too many for one request (limits.ids): name jobs, or ask several times")
	}
	out := make([]string, len(in))
	for i, id := range in {
		out[i] = strings.ToLower(strings.TrimSpace(id))
		if _, _, err := tasks.ParseID(out[i]); err != nil {
			return nil, invalidField("ids", err.Error())
		}
	}
	return out, nil
}

func outcomeOf(o *queue.Outcome) *api.Outcome {
	out := &api.Outcome{ID: o.ID, OK: o.Err == nil, State: string(o.State), NewID: o.NewID, Count: o.Count}
	if o.Err == nil {
		return out
	}
	f := faultOf(o.Err)
	if errors.Is(o.Err, queue.ErrMissing) {
		f.Message = "there is no such task or job, or it has expired, or is another's"
	}
	out.Error, out.Message = f.Code, f.Message
	return out
}
