package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"

	"github.com/rpipe-dev/rpipe/tasks"
	"github.com/rpipe-dev/rpipe/tasks/broker"
)

// configure fills in what Options leave open: from the named configuration, and then
// the defaults.
func (n *Node) configure(ctx context.Context) error {
	o := &n.o
	if o.Config != "" {
		if err := tasks.CheckName("a worker configuration", o.Config); err != nil {
			return fmt.Errorf("node: %w", err)
		}
		r, err := n.b.Get(ctx, tasks.WorkerConfigSubject(o.Config))
		if errors.Is(err, broker.ErrNotFound) || err == nil && r.Data == nil {
			return fmt.Errorf("node: there is no worker configuration %q; rpipe worker config lists those that there are", o.Config)
		}
		if err != nil {
			return fmt.Errorf("node: worker configuration %s: %w", o.Config, err)
		}
		var c tasks.WorkerConfig
		if err := json.Unmarshal(r.Data, &c); err != nil {
			return fmt.Errorf("node: worker configuration %s: %w", o.Config, err)
		}
		o.take(&c)
	}
	if len(o.Queues) == 0 {
		o.Queues = []string{tasks.DefaultQueue}
	}
	for _, q := range o.Queues {
		if err := tasks.CheckName("a queue", q); err != nil {
			return fmt.Errorf("node: %w", err)
		}
	}
	if o.Max == 0 {
		o.Max = runtime.NumCPU()
	}
	return nil
}

// take fills in what c sets.
func (o *Options) take(c *tasks.WorkerConfig) {
	if len(o.Queues) == 0 {
		o.Queues = c.Queues
	}
	orElse(&o.Min, c.Min)
	orElse(&o.Max, c.Max)
	orElse(&o.IdleTimeout, c.IdleTimeout)
	orElse(&o.Limits.MaxMemory, c.MaxMemory)
	orElse(&o.Limits.MaxRequests, c.MaxTasks)
	o.LogTasks = o.LogTasks || c.LogTasks
}

func orElse[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}
