package async

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// maxWait is how long a client is kept waiting, at most, by Prefer: wait.
const maxWait = time.Minute

// preferences are those of RFC 7240 that matter here.
func preferences(h http.Header) (async bool, wait time.Duration) {
	for _, line := range h.Values("Prefer") {
		for part := range strings.SplitSeq(line, ",") {
			part, _, _ = strings.Cut(part, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "respond-async":
				async = true
			case "wait":
				if n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`)); err == nil && n > 0 {
					wait = min(time.Duration(min(n, 3600))*time.Second, maxWait)
				}
			}
		}
	}
	return async, wait
}

// Around stands between what guards an API and the API: it takes requests that are to be
// answered later, and answers those for what became of them. prefix is the path that was
// taken off.
func (s *Service) Around(api, prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a, ok := r.Context().Value(askedKey{}).(*asked); ok {
			s.answer(w, r, a)
			return
		}
		async, wait := preferences(r.Header)
		if !async || r.Header.Get("Upgrade") != "" || !s.o.Config.covers(prefix+r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		if err := s.accept(w, r, api, prefix, wait); err != nil {
			s.o.Fault.Write(w, r, err)
		}
	})
}

// accept keeps a request and answers 202; or, where it is done within wait, with what
// came of it.
func (s *Service) accept(w http.ResponseWriter, r *http.Request, api, prefix string, wait time.Duration) error {
	x := exchange.Of(r.Context())
	x.Route = "respond-async"
	secret := make([]byte, 16)
	rand.Read(secret)
	sum := sha256.Sum256(secret)
	q := &request{
		API: api, Method: r.Method, URI: r.URL.RequestURI(), Path: prefix + r.URL.Path, Host: r.Host, Header: r.Header.Clone(), Owner: x.Owner, ID: x.ID,
		Client: x.Client, Peer: x.Peer, Port: x.Port, Scheme: x.Scheme, Secret: hex.EncodeToString(sum[:]),
	}
	q.Header.Del("Prefer")
	j, err := s.keep(r, q, x)
	if err != nil {
		return refusal(err)
	}
	a := &asked{job: j, request: q, address: Prefix + j.ID + "-" + hex.EncodeToString(secret), wait: wait, method: r.Method, applied: true}
	return s.tell(w, r, a)
}

// keep submits a request.
func (s *Service) keep(r *http.Request, q *request, x *exchange.Exchange) (*tasks.Job, error) {
	body, err := s.body(r, x)
	if err != nil {
		return nil, err
	}
	j := tasks.Job{Name: q.API, Queue: s.o.Config.Queue, Lane: tasks.Normal, ResultTTL: time.Duration(s.o.Config.TTL), Retry: tasks.Retry{Lost: 1}}
	if q.repeatable() {
		j.Retry.Lost = 3
	}
	if body != nil {
		ref, size, err := s.blobs.Put(r.Context(), body)
		if err != nil {
			return nil, err
		}
		q.Size = size
		j.Call.Args = []tasks.Arg{{Name: "body", Value: tasks.Value{Ref: ref, Size: size}}}
	}
	head, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	j.Call.Kind, j.Call.Text, j.Call.Code = tasks.CallHTTP, true, tasks.Value{Data: head}
	kept, _, err := s.queue.Submit(r.Context(), queue.Who{Owner: owner(q)}, &queue.Submission{Job: j})
	return kept, err
}

// owner is who has the task of a request: nobody's are one owner's.
func owner(q *request) string {
	if q.Owner == "" {
		return "-"
	}
	return q.Owner
}

// body is that of a request; nil for none.
func (s *Service) body(r *http.Request, x *exchange.Exchange) (io.Reader, error) {
	most := int64(s.o.Config.MaxBody)
	if b := x.Body; b != nil {
		switch {
		case most > 0 && b.Size > most:
			return nil, errBody
		case b.Size == 0:
			return nil, nil
		case b.File != nil:
			return io.NewSectionReader(b.File, 0, b.Size), nil
		}
		return bytes.NewReader(b.Data), nil
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	if most == 0 {
		return r.Body, nil
	}
	return &limited{r: r.Body, left: most}, nil
}

var errBody = &fault.Fault{Status: http.StatusRequestEntityTooLarge, Reason: "too_large", Message: "the body is too large for a request that is to be answered later"}

// limited fails where there is more than may be.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, errBody
	}
	return n, err
}

// refusal is the answer to a request that could not be kept.
func refusal(err error) error {
	var full *queue.RefusedError
	var own *fault.Fault
	switch {
	case errors.As(err, &own), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &full):
		return &fault.Fault{Status: http.StatusServiceUnavailable, Reason: "queue_full", Message: "too many requests are waiting", RetryAfter: max(full.RetryAfter, time.Second), Err: err}
	}
	return &fault.Fault{Status: http.StatusServiceUnavailable, Reason: "async_store", Message: "the request cannot be kept now", RetryAfter: time.Second, Err: err}
}

func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }
