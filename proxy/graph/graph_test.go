//go:build unix

package graph

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// handler sleeps, dies or answers with the path, as the path says.
const handler = `function(req) {
  path <- req$PATH_INFO
  if (startsWith(path, "/sleep")) Sys.sleep(30)
  if (path == "/die") tools::pskill(Sys.getpid(), 9)
  list(status = 200L, headers = list(), body = path)
}`

func opened(t *testing.T, o rpool.Options) *Graph {
	t.Helper()
	p, err := rpool.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	env := &rpool.Environment{Handler: handler, Start: rpool.StartFork, Dir: t.TempDir()}
	if err := p.Warm(t.Context(), env, 1); err != nil {
		t.Fatal(err)
	}
	g := New(context.Background(), Options{Pool: p, Env: env, InFlight: 64})
	t.Cleanup(func() {
		gone, cancel := context.WithCancel(context.Background())
		cancel()
		select {
		case <-g.drain:
		default:
			g.Drain(gone)
		}
	})
	return g
}

func request(path string) *rpool.Request {
	return &rpool.Request{Kind: rpool.HTTP, HTTP: &rpool.HTTPRequest{Vars: []rpool.Field{{Name: "PATH_INFO", Value: path}}}}
}

func TestEachRequestGetsItsOwnAnswer(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 2})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			path := fmt.Sprintf("/%d", i)
			reply, tried, err := g.Do(t.Context(), request(path), 1)
			if err != nil || string(reply.HTTP.Body) != path || tried != 1 {
				t.Errorf("%s: %+v, %d tries, %v", path, reply, tried, err)
			}
		})
	}
	wg.Wait()
}

// One caller leaves while R works for it: its own request ends, with its cause.
func TestACallerThatLeavesCancelsItsRequestAlone(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 1})
	ctx, cancel := context.WithCancelCause(t.Context())
	left := make(chan error, 1)
	go func() {
		_, _, err := g.Do(ctx, request("/sleep"), 1)
		left <- err
	}()
	stays := make(chan error, 1)
	go func() {
		_, _, err := g.Do(t.Context(), request("/stays"), 1)
		stays <- err
	}()
	cancel(fault.ErrClientGone)
	if err := <-left; !errors.Is(err, fault.ErrClientGone) {
		t.Errorf("who left: %v", err)
	}
	if err := <-stays; err != nil {
		t.Errorf("who stayed: %v", err)
	}
}

func TestARequestWhoseWorkerDiesIsTriedAsOftenAsAllowed(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 1})
	var died *rpool.DiedError
	if _, tried, err := g.Do(t.Context(), request("/die"), 2); !errors.As(err, &died) || tried != 2 {
		t.Errorf("%d tries, %v", tried, err)
	}
	if _, _, err := g.Do(t.Context(), request("/lives"), 1); err != nil {
		t.Errorf("after two deaths: %v", err)
	}
}

func TestAFullQueueIsAnAnswer(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 1, QueueLength: 1, QueueWait: time.Minute})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	full := make(chan struct{}, 3)
	for range 3 { // one in R, one waits, one is too many
		wg.Go(func() {
			if _, _, err := g.Do(ctx, request("/sleep"), 1); errors.Is(err, rpool.ErrQueueFull) {
				full <- struct{}{}
			}
		})
	}
	<-full
	cancel()
	wg.Wait()
	if _, _, err := g.Do(t.Context(), request("/after"), 1); err != nil {
		t.Errorf("the graph ended with the queue: %v", err)
	}
}

// Drain waits for what is under way and refuses what comes.
func TestADrainedGraphRefuses(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 1})
	if err := g.Drain(t.Context()); err != nil {
		t.Errorf("drain: %v", err)
	}
	if _, _, err := g.Do(t.Context(), request("/late"), 1); !errors.Is(err, fault.ErrDraining) {
		t.Errorf("after the drain: %v", err)
	}
}

// A drain whose time is over cancels what R does.
func TestADrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 1})
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _, err := g.Do(t.Context(), request("/sleep"), 1)
		ended <- err
	})
	wg.Go(func() { g.Drain(ctx) })
	cancel(fault.ErrDraining)
	if err := <-ended; !errors.Is(err, fault.ErrDraining) {
		t.Errorf("what was under way: %v", err)
	}
	wg.Wait()
}

// What goes wrong in Go with one request is that request's error: the others have
// theirs answered, then and later.
func TestAPanicIsTheErrorOfItsRequest(t *testing.T) {
	t.Parallel()
	g := opened(t, rpool.Options{Max: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := g.Do(ctx, nil, 1); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("no request at all: %v", err)
	}
	if reply, _, err := g.Do(ctx, request("/after"), 1); err != nil || string(reply.HTTP.Body) != "/after" {
		t.Errorf("after a panic: %+v, %v", reply, err)
	}
}
