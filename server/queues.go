package server

import (
	"net/http"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

func queueOf(q *queue.QueueInfo) *api.Queue {
	return &api.Queue{
		Name: q.Name, Paused: q.Paused, MaxLength: q.MaxLength, MaxBytes: api.Size(q.MaxBytes),
		Pending: q.Pending, Deferred: q.Deferred, Running: q.Running, Bytes: q.Bytes, Workers: q.Workers,
	}
}

// named is the name in the path, which must be one of what.
func named(r *http.Request, what string) (string, error) {
	name := r.PathValue("name")
	if err := tasks.CheckName(what, name); err != nil {
		return "", invalidField("name", err.Error())
	}
	return name, nil
}

func (s *Server) listQueues(w http.ResponseWriter, r *http.Request, _ *who) error {
	all, err := s.queue.Queues(r.Context())
	if err != nil {
		return err
	}
	out := api.Queues{Queues: make([]api.Queue, 0, len(all))}
	for i := range all {
		out.Queues = append(out.Queues, *queueOf(&all[i]))
	}
	return writeJSON(w, 200, &out)
}

func (s *Server) getQueue(w http.ResponseWriter, r *http.Request, _ *who) error {
	name, err := named(r, "a queue")
	if err != nil {
		return err
	}
	return s.showQueue(w, r, name)
}

func (s *Server) showQueue(w http.ResponseWriter, r *http.Request, name string) error {
	q, err := s.queue.Queue(r.Context(), name)
	if err != nil {
		return missing(err, "queue", name)
	}
	return writeJSON(w, 200, queueOf(&q))
}

func (s *Server) setQueue(w http.ResponseWriter, r *http.Request, who *who) error {
	name, err := named(r, "a queue")
	if err != nil {
		return err
	}
	var in api.QueueSettings
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	if in.MaxLength != nil && *in.MaxLength < 0 {
		return invalidField("max_length", "is less than 0; 0 is no limit")
	}
	_, err = s.queue.SetQueue(r.Context(), who.Who, name, func(q *tasks.QueueConfig) {
		set(&q.Paused, in.Paused)
		set(&q.MaxLength, in.MaxLength)
		if in.MaxBytes != nil {
			q.MaxBytes = int64(*in.MaxBytes)
		}
	})
	if err != nil {
		return err
	}
	return s.showQueue(w, r, name)
}

// set is for settings that stay as they are where nothing is said.
func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func (s *Server) pauseQueue(paused bool) operation {
	return func(w http.ResponseWriter, r *http.Request, who *who) error {
		name, err := named(r, "a queue")
		if err != nil {
			return err
		}
		if _, err := s.queue.SetQueue(r.Context(), who.Who, name, func(q *tasks.QueueConfig) { q.Paused = paused }); err != nil {
			return err
		}
		return s.showQueue(w, r, name)
	}
}

func (s *Server) purgeQueue(w http.ResponseWriter, r *http.Request, who *who) error {
	name, err := named(r, "a queue")
	if err != nil {
		return err
	}
	n, err := s.queue.Purge(r.Context(), who.Who, name)
	if err != nil {
		return err
	}
	return writeJSON(w, 200, &api.Purged{Cancelled: n})
}
