package server

import (
	"context"
	"encoding/json"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

const (
	tailsAtOnce = 32   // logs that one stream of events reads at a time
	tailsAtMost = 1000 // and those that wait for it; what is beyond is a gap
	tailGrace   = 3 * time.Second
)

// tail follows the logs of the tasks that a stream of events is about.
type tail struct {
	s      *Server
	who    *who
	ctx    context.Context
	cancel context.CancelFunc
	events chan *api.Event
	places chan struct{}
	open   int // that are followed, or wait for a place
	ended  chan string
	seen   map[string]bool // tasks whose log is followed, or was
	work   conc.WaitGroup
}

func newTail(s *Server, who *who, ctx context.Context) *tail {
	ctx, cancel := context.WithCancel(ctx)
	return &tail{
		s: s, who: who, ctx: ctx, cancel: cancel, events: make(chan *api.Event), places: make(chan struct{}, tailsAtOnce),
		ended: make(chan string, tailsAtMost), seen: map[string]bool{},
	}
}

func (t *tail) close() {
	t.cancel()
	t.work.Wait()
}

// follow begins with the log of a task, unless it has begun.
func (t *tail) follow(task *tasks.Task, out *sse) error {
	for range len(t.ended) {
		<-t.ended
		t.open--
	}
	id := task.ID()
	if t.seen[id] {
		return nil
	}
	if t.open >= tailsAtMost {
		return out.send("gap", 0, &api.Event{Type: "gap", Time: time.Now().UTC(), Task: id, Job: task.Job})
	}
	t.seen[id] = true
	t.open++
	job := task.Job
	t.work.Go(func() {
		defer func() { t.ended <- id }()
		select {
		case t.places <- struct{}{}:
			defer func() { <-t.places }()
		case <-t.ctx.Done():
			return
		}
		err := t.s.queue.Log(t.ctx, t.who.Who, id, 0, true, func(_ uint64, at time.Time, data []byte) error {
			return t.tell(id, job, at, data)
		})
		if err != nil && t.ctx.Err() == nil {
			t.s.log.Warn("a log broke off", "task", id, "error", err)
		}
	})
	return nil
}

// tell passes on a message of a log.
func (t *tail) tell(id, job string, at time.Time, data []byte) error {
	var told tasks.Told
	if err := json.Unmarshal(data, &told); err != nil {
		return err
	}
	send := func(e *api.Event) error {
		e.Task, e.Job, e.Attempt = id, job, told.Attempt
		if e.Time.IsZero() {
			e.Time = at
		}
		e.Time = e.Time.UTC()
		select {
		case t.events <- e:
			return nil
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
	for i := 0; i < len(told.Lines); { // lines of one stream go together
		e := &api.Event{Type: "log", Time: told.Lines[i].Time, Stream: told.Lines[i].Stream}
		for ; i < len(told.Lines) && told.Lines[i].Stream == e.Stream; i++ {
			e.Lines = append(e.Lines, told.Lines[i].Text)
		}
		if err := send(e); err != nil {
			return err
		}
	}
	if told.Progress == nil {
		return nil
	}
	v, err := t.s.document(t.ctx, *told.Progress)
	if err != nil {
		return err
	}
	return send(&api.Event{Type: "progress", Time: told.At, Progress: v})
}

// rest passes on what logs still have, when nothing else comes any more.
func (t *tail) rest(out *sse) error {
	enough := time.NewTimer(tailGrace)
	defer enough.Stop()
	for t.open > 0 {
		select {
		case e := <-t.events:
			if err := out.send(e.Type, 0, e); err != nil {
				return err
			}
		case <-t.ended:
			t.open--
		case <-enough.C:
			return nil
		case <-t.ctx.Done():
			return nil
		}
	}
	return nil
}
