package broker

import (
	"fmt"
	"sync"
	"time"
)

// reserve is what an embedded store leaves free of its disk, in bytes: new records and
// objects are refused below it, so that what runs can still come to its end. A server
// that finds no space at all stops.
const reserve = 64 << 20

// unlimited is more than any disk has.
const unlimited = 1 << 60

// room remembers for a moment how much space there is.
type room struct {
	mu    sync.Mutex
	asked time.Time
	err   error
}

// hasRoom is ErrFull where the disk of an embedded store is nearly full.
func (b *Broker) hasRoom() error {
	if b.server == nil {
		return nil
	}
	r := &b.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.asked) < 20*time.Millisecond {
		return r.err
	}
	r.asked, r.err = time.Now(), nil
	if n, ok := free(b.o.Dir); ok && n < b.reserve {
		r.err = fmt.Errorf("%w: the disk of %s has %d MiB left, of which %d are kept for what runs: make room there", ErrFull, b.o.Dir, n>>20, b.reserve>>20)
	}
	return r.err
}
