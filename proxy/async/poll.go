package async

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// asked is a question for what became of a request.
type asked struct {
	job     *tasks.Job
	request *request
	address string        // of the answer
	method  string        // of the question
	wait    time.Duration // for the answer
	applied bool          // it came with the request itself
}

type askedKey struct{}

// StateHeader says, in answers below Prefix, in which state the request's task is.
const StateHeader = "Rpipe-Task-State"

var errNothing = fault.New(http.StatusNotFound, "not_found", "there is no such request, or its answer is not kept any more")

// Before answers what is below Prefix, and leaves all else to next.
func (s *Service) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, Prefix)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		x := exchange.Of(r.Context())
		x.Route = Prefix + "*"
		if id, _, secret := strings.Cut(name, "-"); secret {
			x.Target = Prefix + id + "-***"
		}
		if err := s.find(w, r, name); err != nil {
			s.o.Fault.Write(w, r, err)
		}
	})
}

// find hands a question to what stands before the API that it is of, as if it were the
// request itself: what holds for that, holds for its answer.
func (s *Service) find(w http.ResponseWriter, r *http.Request, name string) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodDelete, http.MethodOptions:
	default:
		w.Header().Set("Allow", "GET, HEAD, DELETE")
		return fault.New(http.StatusMethodNotAllowed, "method_not_allowed", "an answer is read with GET, and given up with DELETE")
	}
	id, secret, _ := strings.Cut(name, "-")
	if _, n, err := tasks.ParseID(id); err != nil || n != 0 {
		return errNothing
	}
	j, err := s.queue.Job(r.Context(), admin, id)
	if errors.Is(err, queue.ErrMissing) {
		return errNothing
	}
	if err != nil {
		return refusal(err)
	}
	q := new(request)
	given, err := hex.DecodeString(secret)
	sum := sha256.Sum256(given)
	code, badCode := s.code(r.Context(), j)
	if err != nil || badCode != nil || json.Unmarshal(code, q) != nil ||
		subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(q.Secret)) != 1 {
		return errNothing
	}
	a := &asked{job: j, request: q, address: r.URL.Path, method: r.Method}
	_, a.wait = preferences(r.Header)
	at, err := url.ParseRequestURI(q.URI)
	if err != nil {
		return errNothing
	}
	as := r.WithContext(context.WithValue(r.Context(), askedKey{}, a))
	as.URL = at
	if r.Method != http.MethodOptions { // a preflight is one of the address
		as.Method = q.Method
	}
	s.o.Guarded(w, as, q.API)
	return nil
}

// code is what a job's call has of the request.
func (s *Service) code(ctx context.Context, j *tasks.Job) ([]byte, error) {
	if j.Call.Kind != tasks.CallHTTP {
		return nil, errors.New("no request")
	}
	return s.queue.Bytes(ctx, j.Call.Code, maxHead)
}

// answer answers a question that has been let in.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, a *asked) {
	err := error(errNothing)
	if exchange.Of(r.Context()).Owner == a.request.Owner {
		if a.method == http.MethodDelete {
			err = s.giveUp(w, r, a)
		} else {
			err = s.tell(w, r, a)
		}
	}
	if err != nil {
		s.o.Fault.Write(w, r, err)
	}
}

// tell says how far it is, or gives the answer.
func (s *Service) tell(w http.ResponseWriter, r *http.Request, a *asked) error {
	id := tasks.TaskID(a.job.ID, 1)
	if a.wait > 0 {
		ctx, cancel := context.WithTimeout(r.Context(), a.wait)
		_, err := s.queue.Wait(ctx, admin, []string{id}, queue.All)
		cancel()
		if err != nil {
			return refusal(err)
		}
	}
	ts, err := s.queue.Get(r.Context(), admin, id)
	if err != nil {
		return refusal(err)
	}
	t := ts[0]
	if t == nil {
		return errNothing
	}
	h := w.Header()
	h.Set(StateHeader, string(t.State))
	h.Set("Cache-Control", "no-store")
	switch t.State {
	case tasks.Complete:
		return s.deliver(w, r, a, t)
	case tasks.Cancelled:
		return fault.New(http.StatusGone, "cancelled", "the request was cancelled")
	case tasks.Died:
		return fault.New(http.StatusBadGateway, "interrupted", "the server died or was stopped while R worked on the request, which may not be repeated by itself: send it again")
	case tasks.Pending, tasks.Running, tasks.Deferred:
		return s.later(w, r, a, t)
	}
	return fault.New(http.StatusInternalServerError, "r_error", "the request could not be run")
}

// progress is what 202 says.
type progress struct {
	Status    tasks.State `json:"status"`
	Location  string      `json:"location"`
	Submitted time.Time   `json:"submitted"`
	Started   time.Time   `json:"started,omitzero"`
	Elapsed   float64     `json:"elapsed_seconds"`    // since it was submitted
	Attempt   int         `json:"attempt,omitempty"`  // how many have begun
	Position  *int64      `json:"position,omitempty"` // how many are before it
}

// later answers 202.
func (s *Service) later(w http.ResponseWriter, r *http.Request, a *asked, t *tasks.Task) error {
	p := progress{Status: t.State, Location: a.address, Submitted: t.Submitted, Started: t.Started, Attempt: t.Attempt,
		Elapsed: time.Since(t.Submitted).Round(time.Millisecond).Seconds()}
	if t.State == tasks.Pending {
		if n, err := s.queue.Position(r.Context(), admin, t.ID()); err == nil && n >= 0 {
			p.Position = &n
		}
	}
	h := w.Header()
	h.Set("Location", a.address)
	h.Set("Retry-After", seconds(min(max(time.Since(t.Submitted)/10, time.Second), 30*time.Second)))
	if a.applied {
		h.Set("Preference-Applied", "respond-async")
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	if a.method != http.MethodHead {
		json.NewEncoder(w).Encode(p) // where the client has gone, nobody can be told
	}
	return nil
}

// deliver gives the answer as it was kept.
func (s *Service) deliver(w http.ResponseWriter, r *http.Request, a *asked, t *tasks.Task) error {
	var body io.ReadCloser = io.NopCloser(bytes.NewReader(t.Result.Data))
	if t.Result.Ref != "" {
		var err error
		if body, _, err = s.queue.Open(r.Context(), t.Result); err != nil {
			return refusal(err)
		}
	}
	defer body.Close()
	kept, err := readResponse(body)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Del("Cache-Control")
	maps.Copy(h, kept.Header)
	h.Set(StateHeader, string(t.State))
	if n, err := strconv.ParseInt(kept.Header.Get("Content-Length"), 10, 64); err == nil && n > 0 && a.request.Method == http.MethodHead {
		h.Del("Content-Length") // of the body that there would have been
	}
	w.WriteHeader(kept.Status)
	if a.method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(w, body); err != nil && r.Context().Err() == nil {
		s.log.Warn("async: an answer was not sent whole", "task", t.ID(), "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// giveUp cancels a request, or drops its answer.
func (s *Service) giveUp(w http.ResponseWriter, r *http.Request, a *asked) error {
	outcomes, err := s.queue.Cancel(r.Context(), admin, []string{tasks.TaskID(a.job.ID, 1)})
	if err != nil {
		return refusal(err)
	}
	if outcomes[0].Err != nil { // it has ended
		if outcomes, err = s.queue.Delete(r.Context(), admin, []string{a.job.ID}); err != nil {
			return refusal(err)
		}
		if err := outcomes[0].Err; err != nil && !errors.Is(err, queue.ErrMissing) {
			return refusal(err)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
