package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// faultOf is what a client is told of an error.
func faultOf(err error) *api.Fault {
	var own *api.Fault
	var invalid *queue.InvalidError
	var refused *queue.RefusedError
	var conflict *queue.ConflictError
	var transition *tasks.TransitionError
	var front *fault.Fault
	var large *http.MaxBytesError
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &invalid):
		return &api.Fault{Status: 400, Code: "invalid", Message: invalid.Message, Field: fieldOf(invalid.Field)}
	case errors.As(err, &refused):
		f := &api.Fault{Status: http.StatusTooManyRequests, Code: "refused", Message: refused.Reason, RetryAfter: api.Duration(refused.RetryAfter)}
		return f
	case errors.As(err, &conflict):
		return &api.Fault{Status: http.StatusConflict, Code: "conflict", Message: conflict.Error()}
	case errors.As(err, &transition):
		return &api.Fault{Status: http.StatusConflict, Code: "conflict", Message: transition.Error()}
	case is(queue.ErrForbidden):
		return &api.Fault{Status: http.StatusForbidden, Code: "forbidden", Message: err.Error()}
	case is(queue.ErrMissing, blob.ErrNotFound, broker.ErrNotFound):
		return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: err.Error()}
	case is(index.ErrCursor):
		return &api.Fault{Status: 400, Code: "invalid", Field: "after", Message: index.ErrCursor.Error()}
	case is(broker.ErrFull):
		return &api.Fault{Status: http.StatusInsufficientStorage, Code: "store_full", Message: "the server's store is full: delete jobs, make room on its disk, or raise max_store"}
	case errors.As(err, &large):
		return tooLarge(large.Limit)
	case is(blob.ErrTooLarge, broker.ErrTooLarge):
		return &api.Fault{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: err.Error()}
	case errors.As(err, &front):
		return &api.Fault{Status: front.Status, Code: front.Reason, Message: front.Message, RetryAfter: api.Duration(front.RetryAfter)}
	case is(ErrDraining, fault.ErrDraining, broker.ErrClosed):
		return unavailable("draining", "the server is shutting down")
	case is(context.Canceled):
		return &api.Fault{Status: fault.StatusClientGone, Code: "client_gone", Message: "the client has gone"}
	case is(context.DeadlineExceeded):
		return unavailable("engine", "the engine does not answer")
	}
	return &api.Fault{Status: http.StatusInternalServerError, Code: "internal", Message: "an error of the server; its log says more"}
}

func unavailable(code, message string) *api.Fault {
	return &api.Fault{Status: http.StatusServiceUnavailable, Code: code, Message: message, RetryAfter: api.Duration(time.Second)}
}

func tooLarge(limit int64) *api.Fault {
	return &api.Fault{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Message: "the body is larger than " + bytesText(limit) + ": put large values by PUT /v1/values, and refer to them"}
}

func invalidField(field, message string) error {
	return &api.Fault{Status: 400, Code: "invalid", Field: field, Message: message}
}

// fieldOf is the place in a submission, by the names of its document, of what the queue
// names by those of its records.
func fieldOf(field string) string {
	for _, change := range [][2]string{
		{"call.args", "args"}, {"call.packages", "packages"}, {"call.env", "environment"}, {"call.code", "fun"}, {"call.", ""},
		{"over.name", "over_name"}, {"over.rows", "rows"}, {"elements", "over"}, {"lane", "priority"}, {"not_before", "run_at"},
	} {
		if rest, ok := strings.CutPrefix(field, change[0]); ok {
			return change[1] + rest
		}
	}
	return field
}
