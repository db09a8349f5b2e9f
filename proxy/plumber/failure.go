package plumber

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// failed answers a request that R did not. An error that plumber let through,
// such as one of the API's own error handler, is answered as httpuv does.
func (a *API) failed(w http.ResponseWriter, r *http.Request, err error) {
	var cond *rpool.ConditionError
	if !errors.As(err, &cond) {
		a.o.Fault.Write(w, r, err)
		return
	}
	x := exchange.Of(r.Context())
	if cond.Output != "" {
		x.Output = cond.Output
		a.o.Log.Info("R printed", "request_id", x.ID, "pid", x.Worker, "output", cond.Output)
	}
	text := "ERROR: " + cond.Message
	switch {
	case slices.Contains(cond.Classes, "rpipe_too_large"):
		a.o.Fault.Write(w, r, &fault.Fault{Status: http.StatusInternalServerError, Reason: "response_too_large", Message: "the answer is too large", Err: err})
		return
	case a.o.Fault.Details && wantsPage(r):
		a.o.Fault.Write(w, r, err)
		return
	case slices.Contains(cond.Classes, "rpipe_response"):
		text = "An exception occurred."
	}
	x.Err = cond
	write(w, r, &rpool.HTTPResponse{
		Status:  http.StatusInternalServerError,
		Headers: []rpool.Field{{Name: "Content-Type", Value: "text/plain; charset=UTF-8"}},
		Body:    []byte(text),
	})
}

// wantsPage reports whether a person looks at the answer.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// conditionHeader is where errors.R puts what failed.
const conditionHeader = "rpipe-condition"

// takeCondition is the R condition behind an answer, nil where R does not tell.
func takeCondition(p *rpool.HTTPResponse) *rpool.ConditionError {
	i := slices.IndexFunc(p.Headers, func(f rpool.Field) bool { return f.Name == conditionHeader })
	if i < 0 {
		return nil
	}
	var told struct {
		Classes   []string
		Message   string
		Call      string
		Traceback []string
	}
	err := json.Unmarshal([]byte(p.Headers[i].Value), &told)
	p.Headers = slices.Delete(p.Headers, i, i+1)
	if err != nil {
		return nil
	}
	return &rpool.ConditionError{Classes: told.Classes, Message: told.Message, Call: told.Call, Traceback: told.Traceback}
}
