package dashboard

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// hub tells all open pages of changes: it is fed once, however many they are, and says
// at most once in every that something has changed, never what.
type hub struct {
	every time.Duration

	mu      sync.Mutex
	dirty   map[string]map[string]bool // topic → owners; "" is everybody
	viewers map[*viewer]struct{}
	timer   *time.Timer // runs while there is something to tell; nil otherwise
	closed  bool
}

// viewer is an open page.
type viewer struct {
	owner string
	all   bool // he may see what is everybody's
	// topics has what has changed and was not told; it is of length one, so that who
	// reads slowly is told less often.
	topics chan []string
}

// mostDirty is how many owners are told apart between two times; with more, all pages
// are told.
const mostDirty = 1000

func newHub(every time.Duration) *hub {
	return &hub{every: every, dirty: map[string]map[string]bool{}, viewers: map[*viewer]struct{}{}}
}

func (h *hub) changed(topic, owner string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.viewers) == 0 {
		return
	}
	owners := h.dirty[topic]
	if owners == nil {
		owners = map[string]bool{}
		h.dirty[topic] = owners
	}
	if len(owners) >= mostDirty {
		owner = ""
	}
	owners[owner] = true
	if h.timer == nil {
		h.timer = time.AfterFunc(h.every, h.tell)
	}
}

func (h *hub) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.timer = nil
	for v := range h.viewers {
		var topics []string
		for topic, owners := range h.dirty {
			if v.all || owners[""] || owners[v.owner] {
				topics = append(topics, topic)
			}
		}
		if len(topics) == 0 {
			continue
		}
		select {
		case before := <-v.topics:
			topics = append(topics, before...)
		default:
		}
		slices.Sort(topics)
		v.topics <- slices.Compact(topics)
	}
	clear(h.dirty)
}

func (h *hub) add(v *viewer) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.viewers[v] = struct{}{}
	}
	return !h.closed
}

func (h *hub) remove(v *viewer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.viewers, v)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.timer != nil {
		h.timer.Stop()
	}
	for _, v := range slices.Collect(maps.Keys(h.viewers)) {
		close(v.topics)
		delete(h.viewers, v)
	}
}

// tick is how often pages look at what nobody tells of, such as memory.
const tick = 5 * time.Second

// events is the stream of events of open pages: changed, with topics.
func (d *Dashboard) events(w http.ResponseWriter, r *http.Request) {
	who := d.o.Who(r)
	ctx, release, err := d.o.Last(r)
	if err != nil {
		d.fault(w, r, err)
		return
	}
	defer release()
	v := &viewer{owner: who.Owner, all: who.can("read", "admin"), topics: make(chan []string, 1)}
	if !d.hub.add(v) {
		return
	}
	defer d.hub.remove(v)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	rc := http.NewResponseController(w)
	say := func(topics ...string) error {
		if _, err := fmt.Fprintf(w, "event: changed\ndata: %s\n\n", strings.Join(topics, " ")); err != nil {
			return err
		}
		return rc.Flush()
	}
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for err := say("open"); err == nil; {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			err = say("tick")
		case topics, open := <-v.topics:
			if !open {
				return
			}
			err = say(topics...)
		}
	}
}
