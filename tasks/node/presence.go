package node

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/rpool"
	"github.com/rpipe-dev/rpipe/tasks"
)

// presentFor is how long a worker counts as alive after it has last said so; it says so
// three times as often.
const presentFor = 15 * time.Second

// announce tells others of this worker, until ctx ends.
func (n *Node) announce(ctx context.Context) {
	alive := min(presentFor, max(n.o.AckWait/2, time.Second))
	tick := time.NewTicker(alive / 3)
	defer tick.Stop()
	for {
		data, err := json.Marshal(n.Info())
		if err == nil {
			err = n.b.Announce(ctx, tasks.WorkerKey(n.o.ID), data, alive)
		}
		if err != nil && ctx.Err() == nil {
			n.log.Warn("this worker cannot tell that it is alive", "error", err)
		}
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := n.b.Withdrawn(ctx, tasks.WorkerKey(n.o.ID)); err != nil {
				n.log.Debug("this worker cannot tell that it ends", "error", err)
			}
			return
		case <-n.requeue:
			n.readQueues(ctx)
		case <-tick.C:
			n.readQueues(ctx)
		}
	}
}

// Info is what others are told of this worker.
func (n *Node) Info() tasks.Worker {
	n.mu.Lock()
	pool := n.pool
	n.mu.Unlock()
	now := time.Now().UTC()
	var c rpool.Counts
	if pool != nil {
		c = pool.Stats().Total
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	w := n.base
	w.Up, w.RSS = c.Up, c.RSS
	w.Seen, w.Queues, w.Busy, w.Done = now, slices.Clone(n.queues), n.busy, n.done
	for _, h := range n.held {
		if h.begun && !h.ending && len(w.Tasks) < 100 {
			w.Tasks = append(w.Tasks, h.id)
		}
	}
	slices.Sort(w.Tasks)
	switch {
	case n.draining:
		w.State = "STOPPING"
	case n.pausing:
		w.State = "PAUSED"
	case n.busy > 0:
		w.State = "BUSY"
	default:
		w.State = "IDLE"
	}
	w.Load = n.load.now(now)
	return w
}

// load is how many R processes were busy, on average over time.
type load struct {
	mu     sync.Mutex
	begun  time.Time
	at     time.Time
	busy   float64
	means  [3]float64 // over 1, 5 and 15 seconds, weighing the last most
	second float64    // busy seconds since begun
}

var loadSpans = [3]float64{1, 5, 15}

func (l *load) begin(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun, l.at = now, now
}

// set says that so many are busy from now on.
func (l *load) set(busy int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(time.Now())
	l.busy = float64(busy)
}

func (l *load) advance(now time.Time) {
	if l.begun.IsZero() {
		return
	}
	dt := now.Sub(l.at).Seconds()
	if dt <= 0 {
		return
	}
	for i, span := range loadSpans {
		keep := math.Exp(-dt / span)
		l.means[i] = l.means[i]*keep + l.busy*(1-keep)
	}
	l.second += l.busy * dt
	l.at = now
}

func (l *load) now(now time.Time) tasks.Load {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(now)
	all := 0.0
	if d := l.at.Sub(l.begun).Seconds(); d > 0 {
		all = l.second / d
	}
	two := func(x float64) float64 { return math.Round(100*x) / 100 }
	return tasks.Load{S1: two(l.means[0]), S5: two(l.means[1]), S15: two(l.means[2]), All: two(all)}
}
