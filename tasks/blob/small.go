package blob

import (
	"container/list"
	"sync"
)

// What small keeps at most, in bytes: in all, and of one blob. A block of elements is
// needed once for each of its tasks.
const (
	maxSmall     = 64 << 20
	maxSmallBlob = 8 << 20
)

// small keeps the small blobs in memory that were used last.
type small struct {
	mu    sync.Mutex
	used  list.List // of smallBlob, the last used in front
	by    map[string]*list.Element
	bytes int
}

type smallBlob struct {
	ref  string
	data []byte
}

func (s *small) get(ref string) ([]byte, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.by[ref]
	if !ok {
		return nil, false
	}
	s.used.MoveToFront(e)
	return e.Value.(smallBlob).data, true
}

func (s *small) put(ref string, data []byte) {
	if len(data) > maxSmallBlob {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.by[ref]; ok {
		return
	}
	if s.by == nil {
		s.by = map[string]*list.Element{}
	}
	s.by[ref] = s.used.PushFront(smallBlob{ref, data})
	for s.bytes += len(data); s.bytes > maxSmall; {
		s.remove(s.used.Back())
	}
}

func (s *small) drop(ref string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.by[ref]; ok {
		s.remove(e)
	}
}

func (s *small) remove(e *list.Element) {
	b := s.used.Remove(e).(smallBlob)
	delete(s.by, b.ref)
	s.bytes -= len(b.data)
}
