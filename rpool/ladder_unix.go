//go:build unix

package rpool

import (
	"context"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The ladder stops what a worker runs: SIGINT cancels R code and leaves the
// worker as it was; compiled code does not listen, so SIGTERM and SIGKILL
// follow, each after the grace time. Timeouts, cancelled contexts and stops all
// come down this one way.
var rungs = []syscall.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGKILL}

// descend goes down the ladder from the signal given until stopped is closed or
// the process has gone. It returns the last signal sent, 0 for none.
func (w *worker) descend(from syscall.Signal, stopped <-chan struct{}) (last syscall.Signal) {
	for _, sig := range rungs {
		if last == 0 && sig != from {
			continue
		}
		if w.group.signal(w.pid, sig) != nil {
			return last
		}
		last = sig
		if sig == unix.SIGKILL {
			<-w.exited
			return last
		}
		grace := time.NewTimer(w.grace)
		select {
		case <-stopped:
			grace.Stop()
			return last
		case <-w.exited:
			grace.Stop()
			return last
		case <-grace.C:
		}
	}
	return last
}

// halt says why and how a request was stopped.
type halt struct {
	cause error
	after time.Duration // the request's timeout; 0 where its context ended
	step  syscall.Signal
}

func (h *halt) err() error {
	if h.after > 0 {
		return &TimeoutError{After: h.after, Step: unix.SignalName(h.step)}
	}
	return h.cause
}

// watch goes down the ladder when a request's context ends or its time is up.
type watch struct {
	answered chan struct{}
	once     sync.Once
	fired    chan struct{} // closed when the ladder has been left, or was never taken
	halt     *halt         // valid after fired
	stops    [2]func() bool
}

func (w *worker) watch(ctx context.Context, r *Request) *watch {
	timeout := r.Timeout
	if ctx.Done() == nil && timeout <= 0 {
		return nil
	}
	v := &watch{answered: make(chan struct{}), fired: make(chan struct{})}
	fire := func(h *halt) {
		v.once.Do(func() {
			defer close(v.fired)
			announce(r.Ending)
			h.step = w.descend(unix.SIGINT, v.answered)
			v.halt = h
		})
	}
	if ctx.Done() != nil {
		v.stops[0] = context.AfterFunc(ctx, func() { fire(&halt{cause: context.Cause(ctx)}) })
	}
	if timeout > 0 {
		v.stops[1] = time.AfterFunc(timeout, func() { fire(&halt{after: timeout}) }).Stop
	}
	return v
}

// end is called when the answer is there or the process has gone. It returns
// nil if the request was left alone; from then on no signal comes.
func (v *watch) end() *halt {
	if v == nil {
		return nil
	}
	close(v.answered)
	for _, stop := range v.stops {
		if stop != nil {
			stop()
		}
	}
	v.once.Do(func() { close(v.fired) })
	<-v.fired
	if v.halt == nil || v.halt.step == 0 {
		return nil
	}
	return v.halt
}

// recover makes sure that a worker that was sent a SIGINT and has answered since
// is ready for the next request: the signal may have come after R had left the
// user's code, and then waits for the next. R swallows it when it answers a
// ping. A worker that does not is stopped.
func (w *worker) recover(h *halt) {
	if isClosed(w.exited) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.grace)
	defer cancel()
	release := w.link.until(ctx)
	_, _, err := w.roundTrip(framePing, encodePing(&w.enc))
	release()
	if err != nil && !w.endsWithin(0) {
		h.step = w.descend(unix.SIGTERM, nil)
		<-w.exited
	}
}

// until interrupts the link when ctx ends, and stops doing so when the function
// returned is called.
func (l *link) until(ctx context.Context) (release func()) {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		l.interrupt()
	})
	return func() {
		if !stop() {
			<-done
		}
		l.resume()
	}
}
