package rpool

// bulkNice is the scheduling priority of workers that run Bulk requests.
const bulkNice = 10

// renice sets m's priority for a lease. Only its holder calls it. Where a
// process may not be raised again, which takes privileges, none is lowered: a
// worker that is niced for ever would be a slow one for Interactive requests.
func (p *Pool) renice(m *member, pri Priority) {
	want := 0
	if pri == Bulk {
		want = bulkNice
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
