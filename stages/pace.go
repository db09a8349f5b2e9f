package stages

import "time"

// Pace has long work of the processor step aside, again and again, while requests
// ask for R in the pool that a pipeline shares with them. A goroutine that works on
// would keep its core until the system's next tick, up to 4 ms, which is longer than
// most answers take; one that pauses leaves it earlier. Nil never pauses. One
// goroutine uses it.
type Pace struct {
	beside func() bool // requests ask for R
	since  time.Time   // begin of the piece under way
}

const (
	// pieceOfWork is how long work goes on between two pauses.
	pieceOfWork = 300 * time.Microsecond
	// longestPause is the most that one pause takes: work that took longer may have
	// waited itself.
	longestPause = 2 * time.Millisecond
)

// Pace begins work that takes milliseconds or more.
func (e *Env) Pace() *Pace {
	if e.Pool == nil || e.Interactive {
		return nil
	}
	return &Pace{beside: e.Pool.Beside, since: time.Now()}
}

// Step is called between small parts of the work. Beside requests it pauses after
// each piece for as long as that took, so the work takes up to half of a core.
func (p *Pace) Step() {
	if p == nil {
		return
	}
	worked := time.Since(p.since)
	if worked < pieceOfWork {
		return
	}
	if p.beside() {
		time.Sleep(min(worked, longestPause)) // not to wait for something: it leaves the core to others
	}
	p.since = time.Now()
}
