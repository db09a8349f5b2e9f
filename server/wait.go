package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// last takes a place for a request that lasts; release gives it back.
func (s *Server) last() (release func(), err error) {
	select {
	case s.streams <- struct{}{}:
		return func() { <-s.streams }, nil
	default:
		return nil, unavailable("too_many_streams", "too many requests wait or follow at once (limits.streams); POST /v1/wait waits for any number of tasks in one")
	}
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
	long := time.Duration(in.Timeout)
	if long == 0 {
		long = defaultWait
	}
	release, err := s.last()
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := s.lasting(r.Context())
	defer cancel()
	ctx, expire := context.WithTimeout(ctx, min(long, time.Duration(s.file.Limits.Wait)))
	defer expire()
	result, err := s.queue.Wait(ctx, who.Who, ids, until)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil { // before it was known how far it is
		result, err = queue.WaitResult{}, nil
	}
	if err != nil {
		return err
	}
	return writeJSON(w, 200, &api.WaitResult{
		Done: result.Done, Total: result.Total, States: statesOf(result.States),
		Ended: result.Ended, Failed: result.Failed, Missing: result.Missing,
	})
}
