package rpool

import "time"

// bulkNice is the scheduling priority of workers that run Bulk requests, and
// besideNice is theirs while Interactive ones are about. Linux runs what it has
// begun with until its next tick, up to 4 ms: at nice 10 a Bulk worker has such a
// turn for each 40 ms that an Interactive one computes, which more than one in a
// hundred requests meet; at 19 for each 270 ms.
const (
	bulkNice   = 10
	besideNice = 19
)

// lull is how long after an Interactive request the next one is expected.
const lull = time.Second

// Beside reports whether an Interactive request has a worker now, or had one
// within the last second. Work in this process that nobody waits for may then
// step back too.
func (p *Pool) Beside() bool {
	return p.interactive.Load() > 0 || time.Since(time.Unix(0, p.answered.Load())) < lull
}

// renice sets m's priority for a lease. Only its holder calls it. Where a
// process may not be raised again, which takes privileges, none is lowered: a
// worker that is niced for ever would be a slow one for Interactive requests.
func (p *Pool) renice(m *member, pri Priority) {
	want := 0
	if pri == Bulk {
		want = bulkNice
		if p.Beside() {
			want = besideNice
		}
	}
	if m.nice == want || !p.mayNice.Load() {
		return
	}
	if err := m.proc.Nice(want); err != nil {
		if p.mayNice.Swap(false) {
			p.o.Log.Info("R workers keep their scheduling priority, which may not be changed", "pid", m.proc.Pid(), "error", err)
		}
		if m.nice != 0 {
			p.mu.Lock()
			p.doom(m, "nice")
			p.schedule()
			p.mu.Unlock()
		}
		return
	}
	m.nice = want
}
