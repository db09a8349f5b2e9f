package sources

import (
	"cmp"
	"io"
	"slices"
	"sync"
)

// groupRanges reads the wanted column chunks of one row group of an object, of
// which every request costs a round trip: what is small and near is asked for at
// once, what is large in blocks, of which the next one is under way while one is
// read. One goroutine reads, in each column from its beginning to its end.
//
// It holds about groupBytes at most, unless the columns are very many.
type groupRanges struct {
	from  io.ReaderAt
	parts []*stretch    // by offset, apart from each other
	slots chan struct{} // of the requests that are under way
	wg    sync.WaitGroup
}

const (
	groupBytes = 32 << 20
	minBlock   = 128 << 10
	maxBlock   = 4 << 20
	maxGap     = 128 << 10 // of what nobody wants, to spare a request
	atOnce     = 8
)

// stretch is what one or several column chunks take of the file.
type stretch struct {
	from, to int64
	block    int64            // how much is asked for at once
	blocks   map[int64]*block // by number
	reached  int64            // number of the last block that was read of
}

// block is a piece of a stretch, there or under way.
type block struct {
	done chan struct{}
	data []byte
	err  error
}

// newGroupRanges begins to read the leaves of row group number of p.
func newGroupRanges(p *parquetFile, number int, leaves []leaf) *groupRanges {
	g := &groupRanges{from: p.bytes, slots: make(chan struct{}, atOnce)}
	total := int64(0)
	for _, l := range leaves {
		m := p.Metadata().RowGroups[number].Columns[l.column].MetaData
		from := m.DataPageOffset
		if m.DictionaryPageOffset != 0 {
			from = m.DictionaryPageOffset
		}
		size := max(m.TotalCompressedSize, 0)
		g.parts = append(g.parts, &stretch{from: from, to: from + size})
		total += size
	}
	slices.SortFunc(g.parts, func(a, b *stretch) int { return cmp.Compare(a.from, b.from) })
	small := total <= groupBytes
	if small {
		g.join()
	}
	size := min(max(groupBytes/int64(2*max(len(g.parts), 1)), minBlock), maxBlock)
	for _, s := range g.parts {
		s.block, s.blocks = size, map[int64]*block{}
		if small && s.to-s.from <= maxBlock {
			s.block = max(s.to-s.from, 1)
		}
		g.fetch(s, 0)
	}
	return g
}

// close waits for what is under way.
func (g *groupRanges) close() { g.wg.Wait() }

// join makes one stretch of those that are small and near.
func (g *groupRanges) join() {
	joined := g.parts[:0]
	for _, s := range g.parts {
		if n := len(joined); n > 0 && s.from-joined[n-1].to <= maxGap && s.to-joined[n-1].from <= maxBlock {
			joined[n-1].to = max(joined[n-1].to, s.to)
			continue
		}
		joined = append(joined, s)
	}
	g.parts = joined
}

// fetch asks for a block, unless it is there or under way.
func (g *groupRanges) fetch(s *stretch, number int64) {
	from := s.from + number*s.block
	if from >= s.to || s.blocks[number] != nil {
		return
	}
	b := &block{done: make(chan struct{})}
	s.blocks[number] = b
	g.wg.Go(func() {
		defer close(b.done)
		g.slots <- struct{}{}
		defer func() { <-g.slots }()
		b.data = make([]byte, min(s.block, s.to-from))
		var n int
		if n, b.err = g.from.ReadAt(b.data, from); n == len(b.data) {
			b.err = nil
		}
		b.data = b.data[:n]
	})
}

// ReadAt implements io.ReaderAt. What no stretch has, or was passed already, is a
// request of its own.
func (g *groupRanges) ReadAt(p []byte, offset int64) (int, error) {
	i, ok := slices.BinarySearchFunc(g.parts, offset, (*stretch).compare)
	if !ok {
		return g.from.ReadAt(p, offset)
	}
	s, n := g.parts[i], 0
	for n < len(p) && offset < s.to {
		number := (offset - s.from) / s.block
		if number < s.reached {
			break
		}
		g.fetch(s, number)
		g.fetch(s, number+1)
		delete(s.blocks, s.reached-1)
		s.reached = number
		b := s.blocks[number]
		<-b.done
		at := offset - s.from - number*s.block
		m := copy(p[n:], b.data[min(at, int64(len(b.data))):])
		if m == 0 {
			return n, cmp.Or(b.err, io.EOF)
		}
		n, offset = n+m, offset+int64(m)
	}
	if n == len(p) {
		return n, nil
	}
	m, err := g.from.ReadAt(p[n:], offset)
	return n + m, err
}

// compare says whether the stretch is before, at or after an offset.
func (s *stretch) compare(offset int64) int {
	switch {
	case s.to <= offset:
		return -1
	case s.from > offset:
		return 1
	}
	return 0
}
