package stages

import (
	"context"
	"sync"
	"time"
)

// gate bounds the requests under way, and counts them for the metrics.
type gate struct {
	places chan struct{}
	view   view

	mu    sync.Mutex
	under int       // under way
	since time.Time // that many
}

func newGate(n int) *gate { return &gate{places: make(chan struct{}, n)} }

// Enter implements webapi.Gate.
func (g *gate) Enter(ctx context.Context) error {
	select {
	case g.places <- struct{}{}:
		g.tally(1)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Leave implements webapi.Gate.
func (g *gate) Leave() {
	g.tally(-1)
	<-g.places
}

func (g *gate) tally(by int) {
	m := g.view.meter
	if m == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	m.work.Add(int64(g.under) * int64(now.Sub(g.since)))
	m.inside.Add(int64(by))
	g.under += by
	g.since = now
}
