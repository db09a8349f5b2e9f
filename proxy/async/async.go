// Package async answers slow requests later: who sends Prefer: respond-async (RFC 7240)
// gets 202 and an address at once, and finds the answer there when R is done. A request
// is kept as a task of the task queue, so it outlives the proxy; package proxy runs it
// on its own workers, through the same handler as all others, and is its one user.
//
// What is promised: a request that was answered with 202 is run, or its address says why
// not. It is run again, after the proxy has died, only where its method may be repeated
// (GET, HEAD, PUT, DELETE, OPTIONS). Its address cannot be guessed, and is behind what
// stands before its API: who may not ask there, or is another owner, does not get it.
package async

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/blob"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/index"
	"github.com/rpipe-dev/rpipe/tasks/queue"
)

// Prefix is what the addresses of answers begin with.
const Prefix = "/__rpipe__/async/"

// Options are what a Service is made with.
type Options struct {
	Config *Config
	Dir    string // Config.Dir, as a whole path
	Log    *slog.Logger
	Fault  fault.Writer
	// Run answers a request to an API, behind what stands before it.
	Run func(w http.ResponseWriter, r *http.Request, api string)
	// Guarded hands a request to what stands before an API, and behind that is Around.
	Guarded func(w http.ResponseWriter, r *http.Request, api string)
	AckWait time.Duration // after which a request of a dead proxy is taken up again; 0 is 10s
}

// Service keeps requests and answers.
type Service struct {
	o      Options
	log    *slog.Logger
	broker *broker.Broker
	blobs  *blob.Store
	index  *index.Index
	queue  *queue.Queue
	worker tasks.Worker

	stopIndex context.CancelFunc
	feeding   sync.WaitGroup

	pulling context.Context // of claims: ends with a drain
	drain   context.CancelFunc
	hard    context.Context // of what runs
	kill    context.CancelCauseFunc
	running sync.WaitGroup
	slots   chan struct{}
	mu      sync.Mutex
	cancels map[string]context.CancelCauseFunc // of tasks that run
	closing sync.Once
}

// Open opens the store of requests, or makes it. Serve begins to run them.
func Open(ctx context.Context, o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{o: o, log: o.Log, slots: make(chan struct{}, o.Config.Running), cancels: map[string]context.CancelCauseFunc{}}
	s.pulling, s.drain = context.WithCancel(ctx)
	s.hard, s.kill = context.WithCancelCause(ctx)
	if err := s.open(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("async: %w", err)
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(s.o.Dir, 0o700); err != nil {
		return err
	}
	ack := s.o.AckWait
	if ack == 0 {
		ack = 10 * time.Second
	}
	o := broker.Options{Dir: filepath.Join(s.o.Dir, "nats"), Durability: broker.Durability(s.o.Config.Durability), Name: "rpipe-proxy", AckWait: ack, Log: s.log}
	if n := s.o.Config.NATS; n != nil {
		o = broker.Options{URLs: n.URLs, Credentials: n.Credentials, CA: n.CA, Durability: o.Durability, Name: o.Name, Log: s.log}
	}
	if s.broker, err = broker.Open(ctx, o); err != nil {
		return err
	}
	if s.blobs, err = blob.Open(blob.Options{Objects: s.broker.Objects()}); err != nil {
		return err
	}
	if s.index, err = index.Open(filepath.Join(s.o.Dir, "index.db")); err != nil {
		return err
	}
	var feed context.Context
	feed, s.stopIndex = context.WithCancel(context.WithoutCancel(ctx))
	s.feeding.Go(func() {
		if err := s.index.Run(feed, s.broker); err != nil {
			s.log.Error("async: the index of requests is not fed any more", "error", err)
		}
	})
	if s.queue, err = queue.Open(context.WithoutCancel(ctx), s.broker, s.blobs, s.index, queue.Options{Log: s.log}); err != nil {
		return err
	}
	_, err = s.queue.SetQueue(ctx, admin, s.o.Config.Queue, func(c *tasks.QueueConfig) { c.MaxLength = s.o.Config.Waiting })
	if err != nil {
		return err
	}
	s.worker = newWorker(s.o.Config)
	return nil
}

// admin is who the proxy is in the queue.
var admin = queue.Who{Owner: "proxy", Admin: true}

// Drain claims no more and waits for what runs until ctx ends, which cancels it: what
// may be repeated is run again by the next proxy.
func (s *Service) Drain(ctx context.Context) {
	s.drain()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		s.kill(fault.ErrDraining)
		<-done
	}
}

// Close ends what runs, and lets go of the store.
func (s *Service) Close() {
	s.closing.Do(func() {
		s.drain()
		s.kill(fault.ErrDraining)
		s.running.Wait()
		var errs []error
		if s.queue != nil {
			errs = append(errs, s.queue.Close())
		}
		if s.stopIndex != nil {
			s.stopIndex()
			s.feeding.Wait()
		}
		if s.index != nil {
			errs = append(errs, s.index.Close())
		}
		if s.blobs != nil {
			errs = append(errs, s.blobs.Close())
		}
		if s.broker != nil {
			errs = append(errs, s.broker.Close())
		}
		if err := errors.Join(errs...); err != nil {
			s.log.Warn("async: the store of requests was not closed in good order", "error", err)
		}
	})
}
