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

// Start forks a worker.
func (t *forker) Start(ctx context.Context) (process, error) {
	w, err := t.fork(ctx)
	if err != nil {
		return nil, err
	}
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
		return nil, context.Cause(ctx)
	}
	t.forks++
	dir, link, err := t.home.room("w"+strconv.Itoa(t.forks), t.limit)
	if err != nil {
		return nil, err
	}
	b := birth{forker: t, dir: dir, link: link, nonce: newNonce()}
	w, err := b.deliver(ctx)
	if err != nil {
		b.abort()
		return nil, err
	}
	return w, nil
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
	pid   int
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
	b.out, err = newOutput(f, b.lines(func() int { return b.pid }))
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
		if b.pid != 0 {
			return
		}
		b.pid = pid
		x := b.proc.group.watch(pid)
		watcher.Go(func() {
			select {
			case <-x.done:
				close(ended)
			case <-stop:
			}
		})
	}
	pid, tempdir, err := awaitHello(ctx, b.link, b.nonce, told, ended)
	if err != nil {
		return nil, b.failure(err)
	}
	b.pid = pid
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
		e.Err = fmt.Errorf("no hello from a forked worker within %v", b.start)
	case errors.Is(err, errEnded):
		x := b.proc.group.watch(b.pid)
		d := &worker{pid: b.pid, exit: x, out: b.out}
		e.Err = d.obituary()
		e.Err.(*DiedError).Stderr = ""
	}
	return e
}

// abort clears away a fork that did not come to its hello. One that cannot even
// be named leaves the template in doubt, which is then killed.
func (b *birth) abort() {
	if b.pid != 0 {
		x := b.proc.group.watch(b.pid)
		b.proc.group.signal(b.pid, 9)
		<-x.done
		b.proc.group.forget(b.pid)
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
