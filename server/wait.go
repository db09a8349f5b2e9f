package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

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

// last takes a place for a request that lasts, until it is released. The context of the
// request ends then, when a drain begins, and soon after who asks may do so no more.
func (s *Server) last(r *http.Request, who *who) (ctx context.Context, release func(), err error) {
	if err := s.streams.take(who.Owner); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	stop := context.AfterFunc(s.soft, func() { cancel(ErrDraining) })
	var watched conc.WaitGroup
	if who.token != "" {
		watched.Go(func() {
			if err := s.access.until(ctx, who); err != nil {
				cancel(err)
			}
		})
	}
	return ctx, func() { stop(); cancel(nil); watched.Wait(); s.streams.release(who.Owner) }, nil
}

func (p *places) take(owner string) error {
	const hint = "; POST /v1/wait waits for any number of tasks in one"
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken >= p.most:
		return unavailable("too_many_streams", "too many requests wait or follow at once (limits.streams)"+hint)
	case p.by[owner] >= p.each:
		return &api.Fault{
			Status: http.StatusTooManyRequests, Code: "too_many_streams", RetryAfter: api.Duration(queue.RetryAfter),
			Message: fmt.Sprintf("%d requests of %s wait or follow, which is as many as an owner may have (limits.streams_per_owner)%s", p.by[owner], owner, hint),
		}
	}
	if p.by == nil {
		p.by = map[string]int{}
	}
	p.taken++
	p.by[owner]++
	return nil
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
	ctx, release, err := s.last(r, who)
	if err != nil {
		return err
	}
	defer release()
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
