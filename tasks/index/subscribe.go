package index

import (
	"slices"
	"sync"

	"github.com/rpipe-dev/rpipe/tasks"
)

// Event is a change of a task.
type Event struct {
	// Task is as it is now; its state is MISSING where its record has gone. Others have
	// it too: it must not be changed.
	Task *tasks.Task
	// Gap says that events were dropped before this one, because they were not read in
	// time: look at the tasks again. Task is nil.
	Gap bool
}

// buffered is how many events wait for a subscriber before some are dropped.
const buffered = 1024

// subscribers are told of changes as they arrive.
type subscribers struct {
	mu     sync.RWMutex
	all    []*subscriber
	byJob  map[string][]*subscriber
	closed bool
}

type subscriber struct {
	wants  func(*tasks.Task) bool
	events chan Event
	gap    bool // the last event sent is a gap; the feed's
}

// Subscribe tells of changes for which f is true, as soon as they arrive, which is
// before queries show them. f must be quick, and nil is true. With jobs, only of their
// tasks: that costs nothing for the changes of others. The channel is closed by stop,
// or with the index.
func (x *Index) Subscribe(f func(*tasks.Task) bool, jobs ...string) (events <-chan Event, stop func()) {
	s := &subscriber{wants: f, events: make(chan Event, buffered+1)}
	jobs = slices.Compact(slices.Sorted(slices.Values(jobs)))
	x.subs.add(s, jobs)
	return s.events, sync.OnceFunc(func() { x.subs.remove(s, jobs) })
}

func (ss *subscribers) add(s *subscriber, jobs []string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	switch {
	case ss.closed:
		close(s.events)
	case len(jobs) == 0:
		ss.all = append(ss.all, s)
	default:
		if ss.byJob == nil {
			ss.byJob = map[string][]*subscriber{}
		}
		for _, j := range jobs {
			ss.byJob[j] = append(ss.byJob[j], s)
		}
	}
}

func (ss *subscribers) remove(s *subscriber, jobs []string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed {
		return
	}
	ss.all = without(ss.all, s)
	for _, j := range jobs {
		if ss.byJob[j] = without(ss.byJob[j], s); len(ss.byJob[j]) == 0 {
			delete(ss.byJob, j)
		}
	}
	close(s.events)
}

func without(list []*subscriber, s *subscriber) []*subscriber {
	if i := slices.Index(list, s); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// close closes all channels.
func (ss *subscribers) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.closed = true
	shut := map[*subscriber]bool{}
	for _, s := range ss.all {
		shut[s] = true
	}
	for _, list := range ss.byJob {
		for _, s := range list {
			shut[s] = true
		}
	}
	for s := range shut {
		close(s.events)
	}
	ss.all, ss.byJob = nil, nil
}

func (ss *subscribers) publish(t *tasks.Task) {
	ss.mu.RLock()
	defer ss.mu.RUnlock()
	for _, s := range ss.all {
		s.send(t)
	}
	for _, s := range ss.byJob[t.Job] {
		s.send(t)
	}
}

// send never waits.
func (s *subscriber) send(t *tasks.Task) {
	if s.wants != nil && !s.wants(t) {
		return
	}
	if s.gap && len(s.events) > 0 {
		return // what it has yet to read ends with the gap, after which it looks at everything
	}
	if s.gap = len(s.events) >= buffered; s.gap {
		s.events <- Event{Gap: true} // there is room for this one, see Subscribe
		return
	}
	s.events <- Event{Task: t}
}
