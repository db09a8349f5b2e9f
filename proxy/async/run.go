package async

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
)

// newWorker is the proxy as the queue sees it.
func newWorker(c *Config) tasks.Worker {
	host, _ := os.Hostname()
	w := tasks.Worker{ID: "proxy-" + strings.ToLower(rand.Text()[:12]), Host: host, Pid: os.Getpid(), State: "IDLE", Queues: []string{c.Queue}, Started: time.Now(), Max: c.Running}
	if u, err := user.Current(); err == nil {
		w.User = u.Username
	}
	return w
}

// Serve begins to run requests: those that wait since before, too.
func (s *Service) Serve() {
	s.running.Go(s.announce)
	s.running.Go(s.claim)
	events, stop := s.index.Subscribe(func(t *tasks.Task) bool { return t.State == tasks.Cancelled })
	s.running.Go(func() {
		defer stop()
		for {
			select {
			case e := <-events:
				s.cancelled(e.Task)
			case <-s.pulling.Done():
				s.untilIdle(events)
				return
			}
		}
	})
}

// untilIdle hears of cancellations as long as something runs.
func (s *Service) untilIdle(events <-chan index.Event) {
	for i := 0; i < cap(s.slots); {
		select {
		case s.slots <- struct{}{}: // nobody has it, or will
			i++
		case e := <-events:
			s.cancelled(e.Task)
		}
	}
}

// cancelled ends what runs of a task that was cancelled; nil is any that may have been.
func (s *Service) cancelled(t *tasks.Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t != nil && s.cancels[t.ID()] != nil {
		s.cancels[t.ID()](errCancelled)
	}
}

var errCancelled = errors.New("the request was cancelled")

// present is for how long the proxy counts as alive without being heard of.
const present = 15 * time.Second

// announce keeps the proxy among the workers of the queue.
func (s *Service) announce() {
	key := tasks.WorkerKey(s.worker.ID)
	tick := time.NewTicker(present / 3)
	defer tick.Stop()
	for {
		w := s.worker
		w.Seen = time.Now()
		if w.Busy = len(s.slots); w.Busy > 0 {
			w.State = "BUSY"
		}
		data, _ := json.Marshal(w)
		if err := s.broker.Announce(s.pulling, key, data, present); err != nil && s.pulling.Err() == nil {
			s.log.Warn("async: the proxy cannot say that it is alive", "error", err)
		}
		select {
		case <-tick.C:
		case <-s.pulling.Done():
			_ = s.broker.Withdrawn(context.WithoutCancel(s.pulling), key) // else it expires
			return
		}
	}
}

// claim takes requests as long as there are places for them.
func (s *Service) claim() {
	for s.pulling.Err() == nil {
		err := s.claimSome()
		if s.pulling.Err() != nil {
			return
		}
		s.log.Warn("async: requests cannot be taken from the queue; trying again", "error", err)
		select {
		case <-time.After(time.Second):
		case <-s.pulling.Done():
		}
	}
}

func (s *Service) claimSome() error {
	lanes, err := s.broker.Lanes(s.pulling, []string{s.o.Config.Queue})
	if err != nil {
		return err
	}
	defer lanes.Close()
	for {
		select {
		case s.slots <- struct{}{}:
		case <-s.pulling.Done():
			return s.pulling.Err()
		}
		ds, err := lanes.Next(s.pulling, 1)
		if err != nil {
			<-s.slots
			return err
		}
		s.running.Go(func() {
			defer func() { <-s.slots }()
			for _, d := range ds {
				if err := s.handle(d); err != nil {
					s.log.Warn("async: a request was not run to its end; it is taken up again", "job", d.Job, "error", err)
				}
			}
		})
	}
}

// handle runs the request of a delivery. What fails comes again by itself.
func (s *Service) handle(d *broker.Delivery) error {
	ctx := context.WithoutCancel(s.hard) // of the store: what has run is to be written
	subject := tasks.TaskSubject(d.Job, d.N)
	r, err := s.broker.Get(ctx, subject)
	if errors.Is(err, broker.ErrNotFound) {
		return d.Ack()
	}
	if err != nil {
		return err
	}
	t := new(tasks.Task)
	if err := json.Unmarshal(r.Data, t); err != nil {
		return errors.Join(fmt.Errorf("record %s is damaged: %w", subject, err), d.Ack())
	}
	t.Rev = r.Seq
	switch {
	case t.State.Final():
		return d.Ack()
	case t.State == tasks.Deferred, t.Held:
		return d.Ack() // it comes again when it may be run
	case t.State == tasks.Pending && t.NotBefore.After(time.Now()):
		return d.Nak(time.Until(t.NotBefore))
	case t.State == tasks.Running && (d.Redelivered == 0 || s.runs(t.ID())):
		return d.Nak(s.broker.AckWait())
	}
	j, err := s.queue.Job(ctx, admin, d.Job)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	claimed, err := t.Take(j, tasks.Lease{Worker: s.worker.ID, Host: s.worker.Host, Nonce: rand.Text(), Since: now}, now)
	if err != nil {
		return err
	}
	if err := s.write(ctx, t); err != nil {
		return errors.Join(err, d.Nak(100*time.Millisecond))
	}
	switch {
	case !claimed && t.State.Final():
		s.log.Warn("async: a request was lost with the proxy that ran it, and may not be repeated", "task", t.ID(), "request", j.Name)
		return d.Ack()
	case !claimed:
		return d.Nak(time.Until(t.NotBefore))
	}
	return s.attempt(ctx, d, t, j)
}

func (s *Service) runs(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cancels[id] != nil
}

// attempt runs a request that was claimed, and writes down what came of it.
func (s *Service) attempt(ctx context.Context, d *broker.Delivery, t *tasks.Task, j *tasks.Job) error {
	run, cancel := context.WithCancelCause(s.hard)
	defer cancel(nil)
	s.mu.Lock()
	s.cancels[t.ID()] = cancel
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.cancels, t.ID())
	}()
	ended := make(chan struct{})
	renewed := make(chan struct{})
	go func() {
		defer close(renewed)
		s.renew(ctx, d, t, ended, cancel)
	}()
	o := s.outcome(run, ctx, t, j)
	close(ended)
	<-renewed
	if errors.Is(context.Cause(run), errCancelled) {
		return d.Ack()
	}
	if err := t.Finish(j, o, time.Now().UTC()); err != nil {
		return err
	}
	err := s.write(ctx, t)
	if errors.Is(err, broker.ErrConflict) { // cancelled, or taken over: what came of it is nobody's
		return d.Ack()
	}
	if err != nil {
		return err
	}
	if t.State == tasks.Pending {
		return d.Nak(0)
	}
	return d.Ack()
}

// renew keeps the claim, and looks whether the task has been cancelled.
func (s *Service) renew(ctx context.Context, d *broker.Delivery, t *tasks.Task, ended <-chan struct{}, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(s.broker.AckWait() / 3)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return
		case <-tick.C:
		}
		if err := d.Extend(); err != nil {
			s.log.Warn("async: the claim of a request cannot be renewed", "task", t.ID(), "error", err)
		}
		r, err := s.broker.Get(ctx, tasks.TaskSubject(t.Job, t.N))
		if err == nil && r.Seq != t.Rev || errors.Is(err, broker.ErrNotFound) {
			cancel(errCancelled)
			return
		}
	}
}

// write writes a task on condition that it is as it was read.
func (s *Service) write(ctx context.Context, t *tasks.Task) error {
	data, err := json.Marshal(t)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	w := broker.Write{Subject: tasks.TaskSubject(t.Job, t.N), Data: data, Expect: t.Rev}
	rev, err := s.broker.Write(ctx, w)
	if err == nil {
		t.Rev = rev
	}
	return err
}

// outcome has R answer, and keeps the answer.
func (s *Service) outcome(run, ctx context.Context, t *tasks.Task, j *tasks.Job) tasks.Outcome {
	failed := func(cause string, err error) tasks.Outcome {
		return tasks.Outcome{Cause: cause, Failure: &tasks.Failure{Cause: cause, Message: err.Error()}}
	}
	q := new(request)
	code, err := s.code(ctx, j)
	if err == nil {
		err = json.Unmarshal(code, q)
	}
	if err != nil {
		return failed(tasks.CauseError, fmt.Errorf("the request that was kept cannot be read: %w", err))
	}
	w := &recorder{header: http.Header{}, most: int64(s.o.Config.MaxResponse)}
	defer w.close()
	err = s.ask(run, w, q, j)
	if cause := context.Cause(run); cause != nil { // what there is of an answer says so
		if q.repeatable() {
			return failed(tasks.CauseWorker, cause)
		}
		return failed(tasks.CauseHost, cause)
	}
	if err == nil {
		err = w.err
	}
	if err != nil {
		w.close()
		w = &recorder{header: http.Header{}}
		r := (&http.Request{Method: q.Method}).WithContext(exchange.With(ctx, &exchange.Exchange{ID: q.ID}))
		s.o.Fault.Write(w, r, err)
	}
	v, err := s.keepAnswer(ctx, w)
	if err != nil {
		return failed(tasks.CauseError, fmt.Errorf("the answer cannot be kept: %w", err))
	}
	return tasks.Outcome{Cause: tasks.CauseDone, Result: v}
}

// ask makes the request anew and has the API answer it.
func (s *Service) ask(ctx context.Context, w http.ResponseWriter, q *request, j *tasks.Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &fault.Fault{Status: http.StatusBadGateway, Reason: "aborted", Message: "the answer was not whole", Err: fmt.Errorf("%v", p)}
		}
	}()
	at, err := url.ParseRequestURI(q.URI)
	if err != nil {
		return err
	}
	x := &exchange.Exchange{ID: q.ID, API: q.API, Client: q.Client, Peer: q.Peer, Port: q.Port, Scheme: q.Scheme, Owner: q.Owner, Start: time.Now(), Body: &exchange.Body{}}
	for _, a := range j.Call.Args {
		release, err := s.bodyOf(ctx, x.Body, a.Value)
		if err != nil {
			return err
		}
		defer release()
	}
	r := &http.Request{
		Method: q.Method, URL: at, RequestURI: q.URI, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: q.Header, Host: q.Host, ContentLength: x.Body.Size, Body: http.NoBody, RemoteAddr: q.Client.String() + ":" + q.Port,
	}
	if x.Body.Size > 0 {
		r.Header.Set("Content-Length", strconv.FormatInt(x.Body.Size, 10))
		if x.Body.File != nil {
			r.Body = io.NopCloser(io.NewSectionReader(x.Body.File, 0, x.Body.Size))
		} else {
			r.Body = io.NopCloser(bytes.NewReader(x.Body.Data))
		}
	}
	s.o.Run(w, r.WithContext(exchange.With(ctx, x)), q.API)
	return nil
}

// bodyOf brings a body that was kept.
func (s *Service) bodyOf(ctx context.Context, b *exchange.Body, v tasks.Value) (release func(), err error) {
	b.Size = v.Size
	if v.Ref == "" || v.Size <= inMemory {
		b.Data, err = s.queue.Bytes(ctx, v, inMemory+1)
		return func() {}, err
	}
	path, done, err := s.blobs.File(ctx, v.Ref)
	if err != nil {
		return nil, err
	}
	if b.File, err = os.Open(path); err != nil {
		done()
		return nil, err
	}
	return func() { b.File.Close(); done() }, nil
}

// hopByHop are headers of one connection.
var hopByHop = []string{"Connection", "Keep-Alive", "Transfer-Encoding", "Upgrade", "Trailer", "Te", "Proxy-Connection", "Proxy-Authenticate"}

// keepAnswer keeps an answer as a value: in the record where it is small.
func (s *Service) keepAnswer(ctx context.Context, w *recorder) (tasks.Value, error) {
	a := response{Status: w.status, Header: w.header}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	for _, name := range hopByHop {
		delete(a.Header, name)
	}
	head, err := a.encode()
	if err != nil {
		return tasks.Value{}, err
	}
	body, err := w.body()
	if err != nil {
		return tasks.Value{}, err
	}
	all := io.MultiReader(bytes.NewReader(head), body)
	if int64(len(head))+w.size <= tasks.MaxInline {
		data, err := io.ReadAll(all)
		return tasks.Value{Data: data, Size: int64(len(data))}, err
	}
	ref, size, err := s.blobs.Put(ctx, all)
	return tasks.Value{Ref: ref, Size: size}, err
}
