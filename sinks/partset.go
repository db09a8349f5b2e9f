package sinks

import (
	"context"
	"fmt"
	"math"

	"golang.org/x/sync/errgroup"

	"github.com/rpipe-dev/rpipe/frame"
)

// partSet holds the open parts of each open epoch. Rows wait in memory, by
// partition, until there are enough for one chunk of the format (a row group);
// only then is a file opened. Two limits keep it small however many partitions
// there are: bytes waiting, and files open.
type partSet struct {
	out    *output
	format format
	layout *layout

	chunkRows  int64
	chunkBytes int64
	memory     int64 // bytes that may wait over all partitions

	epochs  map[uint64]*epochParts
	waiting int64         // bytes
	open    int           // files
	buffers int64         // bytes that open files may hold beside; 0 for those that hold hardly any
	handed  int           // parts that prepare returned, and those of earlier processes
	sealing chan struct{} // has a place for each file that is forced to stable storage
}

// epochParts are the parts of one epoch.
type epochParts struct {
	number uint64
	next   int // number of its next part
	groups map[string]*group
	done   []*part        // ended
	seals  errgroup.Group // that force them to stable storage
}

// sealers is how many files may wait for the disk at once. They are open still,
// beside those that max_open_partitions counts.
const sealers = 8

// group is one partition within an epoch.
type group struct {
	dir    string
	values map[string]string
	schema *frame.Schema
	frames []frame.Frame // waiting
	rows   int64         // waiting
	bytes  int64         // waiting
	file   *part         // nil until the first chunk
}

// maxEpochs is how many epochs may be open: one that is being committed, the next,
// and the final one of what blocking stages emit.
const maxEpochs = 3

// defaultMemory is what may wait where the run sets no limit.
const defaultMemory = 256 << 20

func newPartSet(out *output, fm format, l *layout, memory int64) *partSet {
	if memory <= 0 {
		memory = defaultMemory
	}
	s := &partSet{out: out, format: fm, layout: l, memory: memory, epochs: map[uint64]*epochParts{}}
	seal := sealers
	if n := out.place.buffer(); n > 0 {
		// Half of the memory is for rows that wait, three eighths for what open files
		// hold, and the rest for those that are being sealed.
		s.buffers = memory * 3 / 8
		seal = int(max(min(memory/8/n, sealers), 1))
		s.memory = memory / 2
	}
	s.sealing = make(chan struct{}, seal)
	s.chunkRows, s.chunkBytes = fm.chunk()
	if len(l.PartitionBy) > 0 && s.chunkRows == 0 {
		// Without this each batch would write a few rows to each partition's file.
		s.chunkRows, s.chunkBytes = 50_000, 4<<20
	}
	if l.BytesPerFile > 0 {
		s.chunkBytes = min(s.chunkBytes, int64(l.BytesPerFile))
	}
	return s
}

func (s *partSet) epoch(n uint64) (*epochParts, error) {
	e := s.epochs[n]
	if e == nil {
		if len(s.epochs) == maxEpochs {
			return nil, fmt.Errorf("epoch %d begins while %d others are open", n, maxEpochs)
		}
		if s.out.file != "" && len(s.epochs)+s.handed > 0 {
			return nil, fmt.Errorf("epoch %d begins, and the one file %s cannot take a second epoch; let path be a directory", n, s.out.file)
		}
		e = &epochParts{number: n, groups: map[string]*group{}}
		s.epochs[n] = e
	}
	return e, nil
}

// add takes the rows of one partition.
func (s *partSet) add(e *epochParts, p piece) error {
	g := e.groups[p.dir]
	if g == nil {
		if err := s.out.place.checkDir(p.dir); err != nil {
			return err
		}
		g = &group{dir: p.dir, values: p.values, schema: p.frame.Schema()}
		e.groups[p.dir] = g
	}
	for f := p.frame; f != nil; {
		n, room := f.NumRows(), s.room(g)
		rest := frame.Frame(nil)
		if n > room {
			f, rest = frame.Slice(f, 0, int(room)), frame.Slice(f, int(room), int(n))
		}
		s.wait(g, f)
		if g.rows >= s.chunkRows || g.bytes >= s.chunkBytes || s.full(g) {
			if err := s.encode(e, g); err != nil {
				return err
			}
		}
		f = rest
	}
	for s.waiting > s.memory {
		e, g := s.largest(func(g *group) int64 { return g.bytes })
		if err := s.encode(e, g); err != nil {
			return err
		}
	}
	return nil
}

// room is how many rows may be added before a chunk or a file is full.
func (s *partSet) room(g *group) int64 {
	room := int64(math.MaxInt64)
	if s.chunkRows > 0 {
		room = s.chunkRows - g.rows
	}
	if limit := s.layout.RowsPerFile; limit > 0 {
		room = min(room, limit-g.rows-g.written())
	}
	return max(room, 1)
}

func (g *group) written() int64 {
	if g.file == nil {
		return 0
	}
	return g.file.Rows
}

// frameCost is what a frame takes beside its values: headers of arrays and
// buffers. Where partitions are many their frames are small, and it counts.
const frameCost = 512

func (s *partSet) wait(g *group, f frame.Frame) {
	n := frame.Bytes(f) + frameCost*f.NumCols()
	g.frames = append(g.frames, f)
	g.rows += f.NumRows()
	g.bytes += n
	s.waiting += n
}

// full reports whether the file is at its limit with what waits for it.
func (s *partSet) full(g *group) bool {
	return s.layout.RowsPerFile > 0 && g.rows+g.written() >= s.layout.RowsPerFile
}

// encode writes what waits to the partition's file, and closes that at its limit.
func (s *partSet) encode(e *epochParts, g *group) error {
	full := s.full(g)
	if err := s.openFile(e, g); err != nil {
		return err
	}
	err := g.file.encode(g.frames)
	s.waiting -= g.bytes
	g.frames, g.rows, g.bytes = nil, 0, 0
	if err != nil {
		return err
	}
	if err := s.fit(); err != nil {
		return err
	}
	if g.file == nil {
		return nil
	}
	if full || s.layout.BytesPerFile > 0 && g.file.enc.size() >= int64(s.layout.BytesPerFile) {
		return s.close(e, g)
	}
	return nil
}

// openFile begins the partition's file. Where too many are open the largest is
// closed: its partition has had the most and goes on in another file.
func (s *partSet) openFile(e *epochParts, g *group) error {
	if g.file != nil {
		return nil
	}
	for s.open >= s.layout.MaxOpen {
		e, g := s.largest(func(g *group) int64 {
			if g.file == nil {
				return -1
			}
			return g.file.enc.size()
		})
		if err := s.close(e, g); err != nil {
			return err
		}
	}
	p := s.out.part(e.number, e.next, g.dir, g.values)
	f, err := s.out.beginPart(p, s.format, g.schema, g.frames)
	if err != nil {
		return err
	}
	e.next++
	s.open++
	g.file = f
	return nil
}

// fit closes files until the others fit into the memory for their buffers: of
// those that hold much the largest. One may always be open.
func (s *partSet) fit() error {
	for s.buffers > 0 && s.open > 1 {
		held := int64(0)
		for _, e := range s.epochs {
			for _, g := range e.groups {
				if g.file != nil {
					held += g.file.body.held()
				}
			}
		}
		if held <= s.buffers {
			return nil
		}
		much := held / int64(s.open)
		e, g := s.largest(func(g *group) int64 {
			if g.file == nil || g.file.body.held() < much {
				return -1
			}
			return g.file.enc.size()
		})
		if err := s.close(e, g); err != nil {
			return err
		}
	}
	return nil
}

// close ends the partition's file and hands it to a goroutine that waits for
// the disk. Its error is that of the epoch's seals.
func (s *partSet) close(e *epochParts, g *group) error {
	f := g.file
	g.file = nil
	s.open--
	if err := f.end(); err != nil {
		return err
	}
	e.done = append(e.done, f)
	s.sealing <- struct{}{}
	e.seals.Go(func() error {
		defer func() { <-s.sealing }()
		return f.seal()
	})
	return nil
}

// largest is the group of the greatest size.
func (s *partSet) largest(size func(*group) int64) (e *epochParts, g *group) {
	best := int64(-1)
	for _, n := range s.epochs {
		for _, c := range n.groups {
			// The name decides between equals, so that the same rows make the same files.
			if v := size(c); v > best || v == best && g != nil && c.dir < g.dir {
				best, e, g = v, n, c
			}
		}
	}
	return e, g
}

// prepare ends an epoch. Where there are no parts at all and empty is given, it
// makes one empty file of that schema.
func (s *partSet) prepare(ctx context.Context, number uint64, empty *frame.Schema) ([]Part, error) {
	if empty != nil && s.handed == 0 && len(s.epochs) == 0 {
		if _, err := s.epoch(number); err != nil {
			return nil, err
		}
	}
	e := s.epochs[number]
	if e == nil {
		return nil, nil
	}
	if empty != nil && s.handed == 0 && len(s.epochs) == 1 && len(e.groups) == 0 {
		e.groups[""] = &group{schema: empty, frames: []frame.Frame{frame.Empty(empty)}}
	}
	for _, dir := range sortedKeys(e.groups) {
		g := e.groups[dir]
		if len(g.frames) > 0 {
			if err := s.encode(e, g); err != nil {
				return nil, err
			}
		}
		if g.file != nil {
			if err := s.close(e, g); err != nil {
				return nil, err
			}
		}
		delete(e.groups, dir)
	}
	if err := e.seals.Wait(); err != nil {
		return nil, err
	}
	parts := make([]Part, len(e.done))
	for i, p := range e.done {
		parts[i] = p.Part
	}
	if err := s.out.place.settle(parts); err != nil {
		return nil, err
	}
	if err := s.out.place.holds(ctx); err != nil {
		return nil, failed("write", s.out.shown, err)
	}
	delete(s.epochs, number)
	s.handed += len(parts)
	return parts, nil
}

// discard removes what is open or closed but not handed out.
func (s *partSet) discard(ctx context.Context) {
	var all errgroup.Group // at once: each may wait for a server
	all.SetLimit(requests)
	for _, e := range s.epochs {
		_ = e.seals.Wait() // the files go in any case
		for _, g := range e.groups {
			if g.file != nil {
				e.done = append(e.done, g.file)
			}
		}
		for _, p := range e.done {
			all.Go(func() error { p.body.discard(ctx); return nil })
		}
	}
	_ = all.Wait() // nil
	s.epochs, s.waiting, s.open = map[uint64]*epochParts{}, 0, 0
}
