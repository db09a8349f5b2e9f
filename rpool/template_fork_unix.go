//go:build unix

package rpool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
)

// forker makes workers by forking a template process. Behind that stands a copy of
// it, the standby, which takes its place when it dies: so workers of one generation
// have the same code, whatever became of the files, and nothing is loaded again.
type forker struct {
	*settings
	group *group
	turn  chan struct{}   // holds one token while a fork is under way: forks are serial
	ctx   context.Context // ends with Close
	end   context.CancelFunc
	over  chan struct{} // closed when neither template nor standby is there

	forks, copies int // workers and standbys so far; guarded by turn

	mu      sync.Mutex // guards what follows, which changes in turn only
	proc    *worker    // the template
	standby *worker    // nil while there is none
}

func newForker(s *settings, p *worker) *forker {
	t := &forker{settings: s, group: p.group, turn: make(chan struct{}, 1), over: make(chan struct{}), proc: p}
	t.ctx, t.end = context.WithCancel(context.Background())
	return t
}

// both are the template and its standby, nil for none. One that has died may be
// among them.
func (t *forker) both() (proc, standby *worker) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.proc, t.standby
}

func (t *forker) Pid() int {
	p, _ := t.both()
	return p.pid
}

func (t *forker) Exited() <-chan struct{} { return t.over }
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

// maxForks is how many templates may die over one worker.
const maxForks = 3

func (t *forker) fork(ctx context.Context) (*worker, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, t.start, errNotReady)
	defer cancel()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-t.over:
		return nil, t.gone()
	case <-ctx.Done():
		return nil, t.late(context.Cause(ctx))
	}
	for try := 1; ; try++ {
		from := t.lead()
		if from == nil {
			return nil, t.gone()
		}
		t.forks++
		w, err := t.born(ctx, order{from: from, name: "w" + strconv.Itoa(t.forks), index: t.forks, after: t.env.AfterFork})
		if err == nil {
			w.isolate = t.fork
			return w, nil
		}
		if try == maxForks || !isClosed(from.exited) || ctx.Err() != nil {
			return nil, err
		}
	}
}

// late says what a fork waited for that did not get its turn.
func (t *forker) late(err error) error {
	if !errors.Is(err, errNotReady) {
		return err
	}
	return &StartError{Step: "fork", Err: fmt.Errorf("other forks of the template took %v", t.start)}
}

func (t *forker) gone() error {
	p, _ := t.both()
	<-p.exited
	return &StartError{Step: "fork", Err: fmt.Errorf("the template has gone: %w", p.death)}
}

// Close kills the template and all of its group.
func (t *forker) Close() {
	t.clear()
	t.home.remove()
}

func (t *forker) clear() {
	t.end()
	t.group.kill()
	<-t.group.gone
	t.tasks.Wait()
}
