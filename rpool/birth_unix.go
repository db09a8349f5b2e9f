//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rpipe-dev/rpipe/rdata"
)

// order is what a fork is to be.
type order struct {
	from  *worker // the template
	name  string  // of its directory
	index int     // of its random number stream; 0 leaves the template's, for a standby
	after string  // R code run in it
}

// birth is one fork, from the order to the hello.
type birth struct {
	*settings
	order
	dir   string
	link  *link
	out   *output
	nonce string
	pid   atomic.Int64 // the fork's; 0 until it is known
}

// born forks. It is called in turn.
func (t *forker) born(ctx context.Context, o order) (*worker, error) {
	dir, link, err := t.home.room(o.name, t.limit)
	if err != nil {
		return nil, err
	}
	b := &birth{settings: t.settings, order: o, dir: dir, link: link, nonce: newNonce()}
	w, err := b.deliver(ctx)
	if err != nil {
		b.abort(err)
		return nil, err
	}
	return w, nil
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
	h, payload, err := b.from.ask(ctx, frameFork, encodeFork(&e, b.dir, b.nonce, b.index, b.env.BeforeFork, b.after))
	switch {
	case isClosed(b.from.exited):
		return nil, &StartError{Step: "fork", Err: fmt.Errorf("the template has gone: %w", b.from.death)}
	case err != nil:
		return nil, b.failure(err)
	case h.kind == frameCondition:
		c, err := decodeCondition(payload)
		if err != nil {
			return nil, err
		}
		return nil, &StartError{Step: "fork", Err: c, Stderr: b.from.out.lastLines()}
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
		x := b.from.group.watch(pid)
		watcher.Go(func() {
			look := time.NewTicker(50 * time.Millisecond)
			defer look.Stop()
			for {
				select {
				case <-x.done:
					close(ended)
					return
				case <-look.C:
					b.from.group.lost(pid)
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
	w := b.newWorker(pid, b.dir, b.link, b.out, b.from.group, b.index == 0)
	w.tempdir = tempdir
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
		d := (&worker{pid: pid, exit: b.from.group.watch(pid), out: b.out}).obituary()
		d.Stderr = "" // stands in e
		e.Err = d
	}
	return e
}

// abort clears away a fork that did not come to its hello.
func (b *birth) abort(err error) {
	if pid := int(b.pid.Load()); pid != 0 {
		x := b.from.group.watch(pid)
		b.from.group.signal(pid, unix.SIGKILL)
		for !isClosed(x.done) {
			select {
			case <-x.done:
			case <-time.After(50 * time.Millisecond):
				b.from.group.lost(pid)
			}
		}
		b.from.group.forget(pid)
	} else if errors.Is(err, errNotReady) {
		// Neither it nor the process between has said a word: the template
		// itself is in doubt, and whoever needs it shall get a new one.
		b.from.kill()
	}
	// First: to open a FIFO that nobody holds open any more waits for ever.
	os.RemoveAll(b.dir)
	if b.out != nil {
		b.out.finish()
	}
	b.link.close()
	// It may have died while the template's directory was out of the way.
	if away := b.from.tempdir + ".away"; b.from.tempdir != "" {
		if _, err := os.Stat(away); err == nil {
			os.Rename(away, b.from.tempdir)
		}
	}
}
