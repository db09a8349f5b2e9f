package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

func (s *Server) listWorkers(w http.ResponseWriter, r *http.Request, who *who) error {
	all, err := s.queue.Workers(r.Context())
	if err != nil {
		return err
	}
	out := api.Workers{Workers: make([]api.Worker, 0, len(all))}
	for i := range all {
		worker := workerOf(&all[i])
		if err := s.ownTasks(r.Context(), who, &worker); err != nil {
			return err
		}
		out.Workers = append(out.Workers, worker)
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getWorker(w http.ResponseWriter, r *http.Request, who *who) error {
	found, err := s.worker(r)
	if err != nil {
		return err
	}
	out := workerOf(found)
	if err := s.ownTasks(r.Context(), who, &out); err != nil {
		return err
	}
	return writeJSON(w, 200, &out)
}

// ownTasks takes from what a worker runs that which the client may not know of.
func (s *Server) ownTasks(ctx context.Context, who *who, w *api.Worker) error {
	if who.Read || who.Admin || len(w.Tasks) == 0 {
		return nil
	}
	found, err := s.queue.Get(ctx, who.Who, w.Tasks...)
	if err != nil {
		return err
	}
	own := []string{}
	for i, t := range found {
		if t != nil {
			own = append(own, w.Tasks[i])
		}
	}
	w.Tasks = own
	return nil
}

// worker is the one that the path names.
func (s *Server) worker(r *http.Request) (*tasks.Worker, error) {
	id := r.PathValue("id")
	if err := tasks.CheckName("a worker", id); err != nil {
		return nil, invalidField("id", err.Error())
	}
	all, err := s.queue.Workers(r.Context())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(w tasks.Worker) bool { return w.ID == id })
	if i < 0 {
		return nil, missing(queue.ErrMissing, "worker", id)
	}
	return &all[i], nil
}

// messageTypes are those that users may send.
var messageTypes = []string{"ping", "echo", "info", "load", "pause", "resume", "refresh", "stop", "queues", "eval", "timeout_set", "timeout_get"}

// messageTimeout is how long a worker has for its answer; one that evaluates takes its time.
const messageTimeout = 30 * time.Second

func (s *Server) messageWorker(w http.ResponseWriter, r *http.Request, who *who) error {
	var in api.Message
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	if !slices.Contains(messageTypes, in.Type) {
		message := strconv.Quote(in.Type) + " is none: there are " + strings.Join(messageTypes, ", ")
		if near := configs.DidYouMean(in.Type, messageTypes); strings.HasPrefix(near, "did") {
			message += "; " + near
		}
		return invalidField("type", message)
	}
	found, err := s.worker(r)
	if err != nil {
		return err
	}
	message, err := json.Marshal(tasks.Message{Type: in.Type, Text: in.Text, Seconds: time.Duration(in.Seconds).Seconds(), Queues: in.Queues})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), messageTimeout)
	defer cancel()
	reply, err := s.queue.Message(ctx, found.ID, message)
	switch {
	case errors.Is(err, queue.ErrMissing), errors.Is(err, broker.ErrNoResponder):
		return missing(queue.ErrMissing, "worker", found.ID)
	case errors.Is(err, context.DeadlineExceeded):
		return &api.Fault{Status: http.StatusGatewayTimeout, Code: "timeout", Message: fmt.Sprintf("worker %s has not answered within %v", found.ID, messageTimeout)}
	case err != nil:
		return err
	}
	var out api.Reply
	if err := json.Unmarshal(reply, &out); err != nil {
		return fmt.Errorf("the answer of worker %s: %w", found.ID, err)
	}
	s.log.Info("a worker was told", "worker", found.ID, "type", in.Type, "by", who.Owner)
	return writeJSON(w, 200, &out)
}

func (s *Server) getWorkerLog(w http.ResponseWriter, r *http.Request, who *who) error {
	id := r.PathValue("id")
	if err := tasks.CheckName("a worker", id); err != nil {
		return invalidField("id", err.Error())
	}
	job, n := tasks.WorkerLog(id)
	return s.writeLog(w, r, who, func(ctx context.Context, after uint64, follow bool, f func(uint64, time.Time, []byte) error) error {
		if follow {
			return s.broker.FollowLog(ctx, job, n, after, f)
		}
		return s.broker.ReadLog(ctx, job, n, after, f)
	})
}
