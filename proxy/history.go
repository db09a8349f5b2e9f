package proxy

import (
	"sync"
	"time"
)

// history is what became of the loads of each API, for the status page. The zero
// value is usable.
type history struct {
	mu   sync.Mutex
	apis map[string]record
	file error // why the configuration file could not be read again; nil where it could
}

// record is the last load of an API.
type record struct {
	Generation int
	Since      time.Time // the generation serves
	Tried      time.Time // the newest code was loaded, with what came of it
	Err        error
}

func (h *history) loaded(name string, generation int) {
	now := time.Now()
	h.set(name, func(r *record) { *r = record{Generation: generation, Since: now, Tried: now} })
}

// failed notes a load that failed; name is "" where it was the file's.
func (h *history) failed(name string, err error) {
	if name == "" {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.file = err
		return
	}
	h.set(name, func(r *record) { r.Tried, r.Err = time.Now(), err })
}

func (h *history) set(name string, f func(*record)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.apis == nil {
		h.apis = make(map[string]record)
	}
	r := h.apis[name]
	f(&r)
	h.apis[name] = r
}

func (h *history) of(name string) record {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.apis[name]
}

func (h *history) ofFile() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.file
}
