package server

import (
	"context"
	"net/http"
	"time"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

func (s *Server) followAll(w http.ResponseWriter, r *http.Request, who *who) error {
	return s.follow(w, r, who, queue.Scope{})
}

func (s *Server) followQueue(w http.ResponseWriter, r *http.Request, who *who) error {
	name := r.PathValue("name")
	if err := tasks.CheckName("a queue", name); err != nil {
		return invalidField("name", err.Error())
	}
	return s.follow(w, r, who, queue.Scope{Queue: name})
}

func (s *Server) followJob(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := jobID(r)
	if err != nil {
		return err
	}
	if _, err := s.queue.Job(r.Context(), who.Who, id); err != nil {
		return missing(err, "job", id)
	}
	return s.follow(w, r, who, queue.Scope{Job: id})
}

func (s *Server) followTask(w http.ResponseWriter, r *http.Request, who *who) error {
	id, err := taskID(r)
	if err != nil {
		return err
	}
	t, _, err := s.task(r, who, id)
	if err != nil {
		return err
	}
	return s.follow(w, r, who, queue.Scope{Job: t.Job, N: t.N})
}

// follow streams what happens within a scope: first, after a broken connection, what
// happened meanwhile, then what happens, until there can be nothing more.
func (s *Server) follow(w http.ResponseWriter, r *http.Request, who *who, scope queue.Scope) error {
	logs, err := boolOf(r.URL.Query(), "log")
	if err != nil {
		return err
	}
	ctx, release, err := s.last(r, who)
	if err != nil {
		return err
	}
	defer release()
	events, err := s.queue.Events(ctx, who.Who, scope)
	if err != nil {
		return err
	}
	out, err := newSSE(w)
	if err != nil {
		return &begunError{err}
	}
	f := &follower{s: s, r: r, who: who, scope: scope, out: out}
	if logs {
		f.tail = newTail(s, who, ctx)
		defer f.tail.close()
	}
	if err := f.run(ctx, events); err != nil && ctx.Err() == nil {
		s.log.Warn("a stream of events broke off", "error", err, "path", r.URL.Path)
	}
	return nil
}

// follower is one stream of events.
type follower struct {
	s     *Server
	r     *http.Request
	who   *who
	scope queue.Scope
	out   *sse
	tail  *tail // of logs; nil without

	// settle comes some time after a task of a job has ended, up to change seen: whether
	// it was the last is asked then, and not for each of very many.
	settle <-chan time.Time
	seen   uint64
}

const settleTime = 20 * time.Millisecond

func (f *follower) run(ctx context.Context, events <-chan queue.Event) error {
	done, err := f.begin(ctx)
	if err != nil || done {
		return err
	}
	beats := time.NewTicker(heartbeat)
	defer beats.Stop()
	for {
		var told <-chan *api.Event
		if f.tail != nil {
			told = f.tail.events
		}
		select {
		case <-ctx.Done():
			return nil
		case <-beats.C:
			if err = f.out.beat(); err == nil {
				done, err = f.ended(ctx)
			}
		case <-f.settle:
			f.settle = nil
			if err = f.s.index.Sync(ctx, f.seen); err == nil {
				done, err = f.ended(ctx)
			}
		case e := <-told:
			err = f.out.send(e.Type, 0, e)
		case e, open := <-events:
			if !open {
				return nil
			}
			done, err = f.tell(ctx, e)
		}
		if err != nil || done {
			return err
		}
	}
}

// begin tells how things stand: of a task what it is, of the tasks of a job those that
// have changed since the event that the client saw last. Of more than a page of them, or
// of a queue, that things were missed.
func (f *follower) begin(ctx context.Context) (done bool, err error) {
	last := lastEventID(f.r)
	switch {
	case f.scope.N > 0:
		t, _, err := f.s.task(f.r, f.who, tasks.TaskID(f.scope.Job, f.scope.N))
		if err != nil {
			return false, err
		}
		return f.tell(ctx, queue.Event{Task: t})
	case f.scope.Job == "":
		if last > 0 {
			return false, f.gap()
		}
		return false, nil
	}
	if last > 0 {
		rows, next, err := f.s.queue.Tasks(ctx, f.who.Who, index.Filter{Job: f.scope.Job, Limit: index.MaxLimit})
		if err != nil {
			return false, err
		}
		if next != "" {
			if err := f.gap(); err != nil {
				return false, err
			}
			rows = nil
		}
		for i := range rows {
			if row := &rows[i]; row.Rev > last {
				e := &api.Event{Type: "task", Time: row.Changed.UTC(), Task: row.ID(), Job: row.Job, State: string(row.State), Queue: row.Queue, Attempt: row.Attempt, Message: row.Message}
				if err := f.out.send("task", row.Rev, e); err != nil {
					return false, err
				}
			}
		}
	}
	return f.ended(ctx)
}

func (f *follower) gap() error {
	return f.out.send("gap", 0, &api.Event{Type: "gap", Time: time.Now().UTC()})
}

// tell writes a change, and reports whether it was the last that there can be.
func (f *follower) tell(ctx context.Context, e queue.Event) (done bool, err error) {
	if e.Gap {
		if err := f.gap(); err != nil {
			return false, err
		}
		return f.ended(ctx)
	}
	t := e.Task
	if f.tail != nil && (t.State == tasks.Running || t.State.Final()) {
		if err := f.tail.follow(t, f.out); err != nil {
			return false, err
		}
	}
	if err := f.out.send("task", t.Rev, eventOf(t)); err != nil {
		return false, err
	}
	switch {
	case !t.State.Final() && t.State != tasks.Missing:
		return false, nil
	case f.scope.N > 0:
		return f.ended(ctx)
	}
	f.seen = max(f.seen, t.Rev)
	if f.settle == nil && f.scope.Job != "" {
		f.settle = time.After(settleTime)
	}
	return false, nil
}

// ended ends a stream of a task or job whose tasks have all ended.
func (f *follower) ended(ctx context.Context) (bool, error) {
	end := &api.Event{Type: "end", Time: time.Now().UTC(), Job: f.scope.Job}
	switch {
	case f.scope.Job == "":
		return false, nil
	case f.scope.N > 0:
		end.Task = tasks.TaskID(f.scope.Job, f.scope.N)
		all, err := f.s.queue.Get(ctx, f.who.Who, end.Task)
		if err != nil {
			return false, err
		}
		if all[0] != nil && !all[0].State.Final() {
			return false, nil
		}
		end.State = string(tasks.Missing)
		if all[0] != nil {
			end.State = string(all[0].State)
		}
	default:
		row, err := f.s.row(ctx, f.who, f.scope.Job)
		if err != nil && faultOf(err).Status != http.StatusNotFound {
			return false, nil // the index will have it
		}
		if err == nil {
			word, done := summary(row)
			if !done {
				return false, nil
			}
			end.State = word
		}
	}
	if f.tail != nil {
		if err := f.tail.rest(f.out); err != nil {
			return true, err
		}
	}
	return true, f.out.send("end", 0, end)
}
