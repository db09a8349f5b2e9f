package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// places are those of requests that last, of which each owner may have some.
type places struct {
	most, each int

	mu    sync.Mutex
	taken int
	by    map[string]int // owner
}

// last takes a place for a request that lasts; release gives it back.
func (s *Server) last(who *who) (release func(), err error) {
	const hint = "; POST /v1/wait waits for any number of tasks in one"
	p := &s.streams
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.most:
		return nil, unavailable("too_many_streams", "too many requests wait or follow at once (limits.streams)"+hint)
	case p.by[who.Owner] >= p.each:
		return nil, &api.Fault{
			Status: http.StatusTooManyRequests, Code: "too_many_streams", RetryAfter: api.Duration(queue.RetryAfter),
			Message: fmt.Sprintf("%d requests of %s wait or follow, which is as many as an owner may have (limits.streams_per_owner)%s", p.by[who.Owner], who.Owner, hint),
		}
	}
	if p.by == nil {
		p.by = map[string]int{}
	}
	p.taken++
	p.by[who.Owner]++
	return func() { p.release(who.Owner) }, nil
}

func (p *places) release(owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if p.by[owner]--; p.by[owner] == 0 {
		delete(p.by, owner)
	}
}

// used is how many places are taken.
func (p *places) used() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// lasting is the context of a request that lasts: it ends when a drain begins, too.
func (s *Server) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.soft, func() { cancel(ErrDraining) })
	return ctx, func() { stop(); cancel(nil) }
}

// defaultWait is how long a request waits that does not say.
const defaultWait = 30 * time.Second

func (s *Server) wait(w http.ResponseWriter, r *http.Request, who *who) error {
	var in api.WaitRequest
	if err := s.readJSON(r, &in); err != nil {
		return err
	}
	ids, err := s.ids(in.IDs)
	if err != nil {
		return err
	}
	until := queue.Until(in.Until)
	switch until {
	case "":
		until = queue.All
	case queue.All, queue.Any, queue.FirstError:
	default:
		return invalidField("until", strconv.Quote(in.Until)+" is none: there are all, any and first_error")
	}
	long := defaultWait
	if in.Timeout != nil {
		long = time.Duration(*in.Timeout)
	}
	if long == 0 {
		result, err := s.queue.HowFar(r.Context(), who.Who, ids, until)
		if err != nil {
			return err
		}
		return writeWait(w, &result)
	}
	release, err := s.last(who)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := s.lasting(r.Context())
	defer cancel()
	ctx, expire := context.WithTimeout(ctx, min(long, time.Duration(s.limits.Load().Wait)))
	defer expire()
	result, err := s.queue.Wait(ctx, who.Who, ids, until)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil { // before it was known how far it is
		result, err = queue.WaitResult{}, nil
	}
	if err != nil {
		return err
	}
	return writeWait(w, &result)
}

func writeWait(w http.ResponseWriter, result *queue.WaitResult) error {
	return writeJSON(w, 200, &api.WaitResult{
		Done: result.Done, Total: result.Total, States: statesOf(result.States),
		Ended: result.Ended, Failed: result.Failed, Missing: result.Missing,
	})
}
