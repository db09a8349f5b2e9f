package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

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
	l.Demand = func(ctx context.Context) (launch.Demand, error) { return demand(ctx, b, queues) }
	launcher, err := launch.New(l)
	if err != nil {
		_ = b.Close()
		return nil, &ConfigError{err}
	}
	s := &Launcher{broker: b, done: make(chan struct{})}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
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

// demand is what waits or runs of queues, and which jobs have a worker that is connected.
func demand(ctx context.Context, b *broker.Broker, queues []string) (launch.Demand, error) {
	d := launch.Demand{Workers: make(map[string]struct{})}
	for _, q := range queues {
		n, err := b.Queued(ctx, q)
		if err != nil {
			return d, fmt.Errorf("worker: how much is queued in %s: %w", q, err)
		}
		d.Tasks += n
	}
	present, err := b.Present(ctx, tasks.WorkerKeys)
	if err != nil {
		return d, fmt.Errorf("worker: which workers are there: %w", err)
	}
	for _, data := range present {
		var w tasks.Worker
		if json.Unmarshal(data, &w) != nil || w.Job == "" || !shared(w.Queues, queues) {
			continue
		}
		d.Workers[w.Job] = struct{}{}
	}
	return d, nil
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
