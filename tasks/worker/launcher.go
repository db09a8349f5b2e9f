package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sourcegraph/conc"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
	"github.com/rpipe-dev/rpipe/tasks/launch"
)

// Launcher submits workers to a cluster's scheduler as queues grow.
type Launcher struct {
	broker *broker.Broker
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// StartLauncher connects by o, and submits jobs by l, whose Demand it fills in: what is
// queued in o.Node.Queues.
func StartLauncher(ctx context.Context, o Options, l launch.Options) (*Launcher, error) {
	b, err := Connect(ctx, &o)
	if err != nil {
		return nil, err
	}
	queues := o.Node.Queues
	if len(queues) == 0 {
		queues = []string{tasks.DefaultQueue}
	}
	seen := &sightings{broker: b, queues: queues, log: l.Log, jobs: make(map[string]struct{})}
	l.Demand = seen.demand
	launcher, err := launch.New(l)
	if err != nil {
		_ = b.Close()
		return nil, &ConfigError{err}
	}
	s := &Launcher{broker: b, done: make(chan struct{})}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		watching, end := context.WithCancel(ctx)
		var watcher conc.WaitGroup
		defer watcher.Wait()
		defer end()
		watcher.Go(func() { seen.watch(watching) })
		s.err = launcher.Run(ctx)
	}()
	return s, nil
}

// JoinFile is the file of a join; one that is given as text is written into dir, for this
// user alone to read: commands are seen by others.
func JoinFile(join, dir string) (string, error) {
	if join == "" {
		return "", nil
	}
	if _, err := os.Stat(join); err == nil {
		return join, nil
	}
	if _, err := broker.ParseJoin(join); err != nil {
		return "", fmt.Errorf("worker: %w", err)
	}
	path := filepath.Join(dir, "join")
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		_ = os.Remove(path) // others may read it
		err = os.WriteFile(path, []byte(join), 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("worker: %w", err)
	}
	return path, nil
}

// sightings are the jobs whose workers were seen. They are watched as they come: one that
// finds nothing to do may connect and end between two looks, and its job has not failed.
type sightings struct {
	broker *broker.Broker
	queues []string
	log    *slog.Logger // nil discards

	mu   sync.Mutex
	jobs map[string]struct{} // seen since the last demand
}

// watch notes workers until ctx ends.
func (s *sightings) watch(ctx context.Context) {
	for {
		err := s.broker.Watch(ctx, tasks.WorkerKeys, func(_ string, data []byte) error {
			s.note(data)
			return nil
		})
		if ctx.Err() != nil {
			return
		}
		if s.log != nil {
			s.log.Warn("workers that connect are not seen for a moment", "error", err)
		}
		select {
		case <-time.After(watchAgain):
		case <-ctx.Done():
			return
		}
	}
}

// watchAgain is how long after a failure workers are watched again.
const watchAgain = time.Second

func (s *sightings) note(data []byte) {
	var w tasks.Worker
	if json.Unmarshal(data, &w) != nil || w.Job == "" || !shared(w.Queues, s.queues) {
		return // no data: it has gone
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs[w.Job] = struct{}{}
}

// demand is what waits or runs of the queues, and which jobs have a worker that is
// connected, or had one since the last demand. Nobody takes from a queue that is paused:
// workers for it would end idle, and be submitted again and again.
func (s *sightings) demand(ctx context.Context) (launch.Demand, error) {
	var d launch.Demand
	for _, q := range s.queues {
		paused, err := isPaused(ctx, s.broker, q)
		if err != nil {
			return d, fmt.Errorf("worker: whether queue %s is paused: %w", q, err)
		}
		if paused {
			continue
		}
		n, err := s.broker.Queued(ctx, q)
		if err != nil {
			return d, fmt.Errorf("worker: how much is queued in %s: %w", q, err)
		}
		d.Tasks += n
	}
	present, err := s.broker.Present(ctx, tasks.WorkerKeys)
	if err != nil {
		return d, fmt.Errorf("worker: which workers are there: %w", err)
	}
	for _, data := range present {
		s.note(data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Workers, s.jobs = s.jobs, make(map[string]struct{})
	return d, nil
}

func isPaused(ctx context.Context, b *broker.Broker, queue string) (bool, error) {
	var c tasks.QueueConfig
	r, err := b.Get(ctx, tasks.QueueSubject(queue))
	if errors.Is(err, broker.ErrNotFound) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(r.Data, &c)
	}
	return c.Paused, err
}

func shared(a, b []string) bool {
	return slices.ContainsFunc(a, func(q string) bool { return slices.Contains(b, q) })
}

// Grace is how long a drain may take.
func (l *Launcher) Grace() time.Duration { return 30 * time.Second }

// DrainLater removes the jobs from the scheduler, and ends.
func (l *Launcher) DrainLater() { l.cancel() }

// Stop does as well.
func (l *Launcher) Stop(error) { l.cancel() }

// Wait returns when it has ended, and why; nil where it was told to.
func (l *Launcher) Wait() error {
	<-l.done
	if errors.Is(l.err, context.Canceled) {
		return nil
	}
	return l.err
}

// Close ends what is left.
func (l *Launcher) Close() {
	l.cancel()
	<-l.done
	_ = l.broker.Close()
}
