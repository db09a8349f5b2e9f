//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/rdata"
)

// forker is a template process and makes workers by forking it.
type forker struct {
	*settings
	proc  *worker
	turn  chan struct{} // holds one token while a fork is under way: forks are serial
	forks int           // guarded by turn
}

func (t *forker) Pid() int                { return t.proc.pid }
func (t *forker) Exited() <-chan struct{} { return t.proc.exited }
func (t *forker) Forks() (bool, string)   { return true, "" }
func (t *forker) About() string           { return t.about }

// Start forks a worker.
func (t *forker) Start(ctx context.Context) (process, error) {
	w, err := t.fork(ctx)
	if err != nil {
		return nil, err
	}
	w.exits = t.exits
	return w, nil
}

func (t *forker) fork(ctx context.Context) (*worker, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.start, errNotReady)
	defer cancel()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-t.proc.exited:
		return nil, t.gone()
	case <-ctx.Done():
		return nil, t.late(context.Cause(ctx))
	}
	t.forks++
	dir, link, err := t.home.room("w"+strconv.Itoa(t.forks), t.limit)
	if err != nil {
		return nil, err
	}
	b := &birth{forker: t, dir: dir, link: link, nonce: newNonce()}
	w, err := b.deliver(ctx)
	if err != nil {
		b.abort(err)
		return nil, err
	}
	return w, nil
}

// late says what a fork waited for that did not get its turn.
func (t *forker) late(err error) error {
	if !errors.Is(err, errNotReady) {
		return err
	}
	return &StartError{Step: "fork", Err: fmt.Errorf("other forks of the template took %v", t.start)}
}

func (t *forker) gone() error {
	return &StartError{Step: "fork", Err: fmt.Errorf("the template has gone: %w", t.proc.death)}
}

// Close kills the template and all of its group.
func (t *forker) Close() {
	t.proc.group.kill()
	<-t.proc.exited
	<-t.proc.group.gone
	t.tasks.Wait()
	t.home.remove()
}

// birth is one fork, from the order to the hello.
type birth struct {
	*forker
	dir   string
	link  *link
	out   *output
	nonce string
	pid   atomic.Int64 // the worker's; 0 until it is known
}

func (b *birth) deliver(ctx context.Context) (*worker, error) {
	f, err := makeFIFO(filepath.Join(b.dir, "log"), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := b.home.give(filepath.Join(b.dir, "log")); err != nil {
		f.Close()
		return nil, err
	}
	b.out, err = newOutput(f, b.lines(func() int { return int(b.pid.Load()) }))
	if err != nil {
		f.Close()
		return nil, err
	}
	var e rdata.Encoder
	h, payload, err := b.proc.ask(ctx, frameFork, encodeFork(&e, b.dir, b.nonce, b.forks, b.env))
	switch {
	case isClosed(b.proc.exited):
		return nil, b.gone()
	case err != nil:
		return nil, b.failure(err)
	case h.kind == frameCondition:
		c, err := decodeCondition(payload)
		if err != nil {
			return nil, err
		}
		return nil, &StartError{Step: "fork", Err: c, Stderr: b.proc.out.lastLines()}
	}
	return b.hello(ctx)
}

// hello waits for the worker to speak. If it dies before, the reaper knows by
// the pid that the process between has told.
func (b *birth) hello(ctx context.Context) (*worker, error) {
	ended := make(chan struct{})
	var watcher sync.WaitGroup
	stop := make(chan struct{})
	defer watcher.Wait()
	defer close(stop)
	told := func(pid int) {
		if !b.pid.CompareAndSwap(0, int64(pid)) {
			return
		}
		x := b.proc.group.watch(pid)
		watcher.Go(func() {
			look := time.NewTicker(50 * time.Millisecond)
			defer look.Stop()
			for {
				select {
				case <-x.done:
					close(ended)
					return
				case <-look.C:
					b.proc.group.lost(pid)
				case <-stop:
					return
				}
			}
		})
	}
	pid, tempdir, err := awaitHello(ctx, b.link, b.nonce, told, ended)
	if err != nil {
		return nil, b.failure(err)
	}
	b.pid.Store(int64(pid))
	if err := b.link.settle(); err != nil {
		return nil, err
	}
	w := b.newWorker(pid, b.dir, b.link, b.out, b.proc.group)
	w.tempdir = tempdir
	w.isolate = b.fork
	return w, nil
}

func (b *birth) failure(err error) error {
	e := &StartError{Step: "hello", Err: err, Stderr: b.out.lastLines()}
	var c *ConditionError
	switch {
	case errors.As(err, &c):
		e.Step = "fork"
	case errors.Is(err, errNotReady):
		e.Err = fmt.Errorf("no hello from a forked worker within %v: %w", b.start, errNotReady)
		if b.pid.Load() == 0 {
			e.Step, e.Err = "fork", fmt.Errorf("the template did not fork within %v: %w", b.start, errNotReady)
		}
	case errors.Is(err, errEnded):
		pid := int(b.pid.Load())
		d := (&worker{pid: pid, exit: b.proc.group.watch(pid), out: b.out}).obituary()
		d.Stderr = "" // stands in e
		e.Err = d
	}
	return e
}

// abort clears away a fork that did not come to its hello.
func (b *birth) abort(err error) {
	if pid := int(b.pid.Load()); pid != 0 {
		x := b.proc.group.watch(pid)
		b.proc.group.signal(pid, unix.SIGKILL)
		for !isClosed(x.done) {
			select {
			case <-x.done:
			case <-time.After(50 * time.Millisecond):
				b.proc.group.lost(pid)
			}
		}
		b.proc.group.forget(pid)
	} else if errors.Is(err, errNotReady) {
		// Neither it nor the process between has said a word: the template
		// itself is in doubt, and whoever needs it shall get a new one.
		b.proc.kill()
	}
	if b.out != nil {
		b.out.finish()
	}
	b.link.close()
	os.RemoveAll(b.dir)
	// It may have died while the template's directory was out of the way.
	if away := b.proc.tempdir + ".away"; b.proc.tempdir != "" {
		if _, err := os.Stat(away); err == nil {
			os.Rename(away, b.proc.tempdir)
		}
	}
}
