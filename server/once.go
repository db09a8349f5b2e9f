package server

import (
	"hash/maphash"
	"strconv"
	"sync"

	"github.com/rpipe-dev/rpipe/tasks"
)

// mostRemembered is how many tasks that have ended are known again; 3 MiB at most.
const mostRemembered = 1 << 16

// once tells tasks that have ended just now from those whose end is only told again: the
// index reads all records anew where its file was damaged, and a record may be written
// again in the state that it had.
type once struct {
	seed maphash.Seed

	mu    sync.Mutex
	rev   uint64 // of the latest record
	known map[uint64]struct{}
	ring  []uint64 // of known, used round and round
	next  int
}

func newOnce() *once { return &once{seed: maphash.MakeSeed(), known: map[uint64]struct{}{}} }

// first reports whether t has ended, and was not told of as that before. Records come in
// the order of their revisions.
func (o *once) first(t *tasks.Task) bool {
	if !t.State.Final() {
		return false
	}
	key := maphash.String(o.seed, t.Job+"."+strconv.Itoa(t.N)+" "+string(t.State))
	o.mu.Lock()
	defer o.mu.Unlock()
	if t.Rev > 0 && t.Rev <= o.rev {
		return false
	}
	o.rev = max(o.rev, t.Rev)
	if _, again := o.known[key]; again {
		return false
	}
	o.known[key] = struct{}{}
	if len(o.ring) < mostRemembered {
		o.ring = append(o.ring, key)
		return true
	}
	delete(o.known, o.ring[o.next])
	o.ring[o.next] = key
	o.next = (o.next + 1) % mostRemembered
	return true
}
