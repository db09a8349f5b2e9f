//go:build unix

package rpool

import (
	"context"
	"strconv"
	"sync"
)

// spawner makes each worker by starting R and loading the environment again. It
// has no process of its own.
type spawner struct {
	*settings
	why string // workers are not forked

	mu      sync.Mutex
	started int
	ready   *worker // brought up by launch, for the first Start
	living  map[*worker]struct{}
	exited  chan struct{} // closed by Close
	closed  bool
}

func newSpawner(s *settings, why string) *spawner {
	return &spawner{settings: s, why: why, living: make(map[*worker]struct{}), exited: make(chan struct{})}
}

func (t *spawner) Pid() int                { return 0 }
func (t *spawner) Exited() <-chan struct{} { return t.exited }
func (t *spawner) Forks() (bool, string)   { return false, t.why }
func (t *spawner) About() string           { return t.about }

// Start starts an R with the environment loaded.
func (t *spawner) Start(ctx context.Context) (process, error) {
	t.mu.Lock()
	w := t.ready
	t.ready = nil
	t.mu.Unlock()
	if w == nil || isClosed(w.exited) {
		var err error
		if w, _, err = t.spawn(ctx, nil); err != nil {
			return nil, err
		}
	}
	w.exits = t.exits
	return w, nil
}

func (t *spawner) spawn(ctx context.Context, ask []string) (*worker, *loaded, error) {
	t.mu.Lock()
	t.started++
	name := "w" + strconv.Itoa(t.started)
	t.mu.Unlock()
	w, err := t.startR(ctx, name, false)
	if err != nil {
		return nil, nil, err
	}
	w.isolate = func(ctx context.Context) (*worker, error) {
		w, _, err := t.spawn(ctx, nil)
		return w, err
	}
	t.mu.Lock()
	t.living[w] = struct{}{}
	closed := t.closed
	t.mu.Unlock()
	t.tasks.Go(func() {
		<-w.group.gone
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.living, w)
	})
	l, err := t.load(ctx, w, ask)
	if closed && err == nil {
		err = ErrClosed
	}
	if err != nil {
		w.group.kill()
		<-w.exited
		return nil, nil, err
	}
	return w, l, nil
}

// Close kills every worker and what they left behind.
func (t *spawner) Close() {
	t.mu.Lock()
	t.closed = true
	for w := range t.living {
		w.group.kill()
	}
	t.mu.Unlock()
	t.tasks.Wait()
	t.home.remove()
	close(t.exited)
}
