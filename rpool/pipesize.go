package rpool

import "sync"

// Larger pipes mean fewer switches between Go and R for a large batch. Linux
// lets a user without privileges have 64 MiB of pipes at their default size
// and then hands out pipes of one page; rpipe stays far below.
const (
	pipeSize      = 256 << 10
	pipesTogether = 16 << 20
)

// pipeBudget counts the bytes of enlarged pipes in this process.
type pipeBudget struct {
	mu   sync.Mutex
	used int
}

var pipes pipeBudget

func (b *pipeBudget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+pipeSize > pipesTogether {
		return false
	}
	b.used += pipeSize
	return true
}

func (b *pipeBudget) giveBack(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
}
