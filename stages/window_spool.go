package stages

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/rpipe-dev/rpipe/frame"
)

// openWindow is a window that still takes rows.
type openWindow struct {
	start   int64
	frames  []frame.Frame // behind those in the file
	bytes   int64         // of frames
	path    string        // of the file; "" while there is none
	origins []*Origin     // of all its rows: one share of each
	has     map[*Origin]bool
}

// keep takes a share of the reads that rows came from. Their memory is given
// back to the run: what is not on the disk counts as the stage's own.
func (o *openWindow) keep(origins []*Origin) {
	var fresh []*Origin
	for _, origin := range origins {
		if !o.has[origin] {
			if o.has == nil {
				o.has = map[*Origin]bool{}
			}
			o.has[origin] = true
			fresh = append(fresh, origin.share())
		}
	}
	(&Rows{Origins: fresh}).Spooled()
	hold(fresh)
	o.origins = append(o.origins, fresh...)
}

// release says that the window waits for no more rows.
func (o *openWindow) release() {
	release(o.origins)
	for _, origin := range o.origins {
		origin.ledger.mu.Lock()
		origin.spooled--
		origin.ledger.mu.Unlock()
	}
}

// windowSpool holds the rows of open windows: in memory, and those of the
// largest ones on the disk where that is not enough.
type windowSpool struct {
	env    *Env
	dir    string
	files  int
	memory int64 // bytes that are in memory
}

// fewRows and manyFrames are when small frames are joined: they take more
// memory than their rows.
const (
	fewRows    = 1024
	manyFrames = 64
)

// add puts a frame behind the others of a window.
func (s *windowSpool) add(o *openWindow, f frame.Frame) error {
	o.frames = append(o.frames, f)
	size := frame.Bytes(f)
	o.bytes += size
	s.memory += size
	small := 0
	for small < len(o.frames) && o.frames[len(o.frames)-1-small].NumRows() < fewRows {
		small++
	}
	if small < manyFrames {
		return nil
	}
	from := len(o.frames) - small
	joined, err := frame.Concat(o.frames[from:]...)
	if err != nil {
		return err
	}
	o.frames = append(o.frames[:from:from], joined)
	return nil
}

// fit writes the largest windows to the disk while all of them take more memory
// than the stage may have.
func (s *windowSpool) fit(open map[int64]*openWindow) error {
	if s.env.Memory <= 0 || s.memory <= s.env.Memory {
		return nil
	}
	all := make([]*openWindow, 0, len(open))
	for _, o := range open {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *openWindow) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.start, b.start))
	})
	for _, o := range all {
		if s.memory <= s.env.Memory/2 {
			break
		}
		if err := s.spill(o); err != nil {
			return fmt.Errorf("spool a window: %w", err)
		}
	}
	return nil
}

// spill appends the frames of a window to its file, as one Arrow stream.
func (s *windowSpool) spill(o *openWindow) (err error) {
	if o.path == "" {
		if o.path, err = s.newPath(); err != nil || o.path == "" {
			return err
		}
	}
	whole, err := frame.Concat(o.frames...) // of factors, a stream has one table of levels
	if err != nil {
		return err
	}
	file, err := os.OpenFile(o.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := bufio.NewWriterSize(file, 1<<20)
	stream := ipc.NewWriter(w, ipc.WithSchema(whole.Schema()), ipc.WithAllocator(frame.Allocator))
	for at := 0; at < int(whole.NumRows()); at += frame.Rows {
		if err := stream.Write(frame.Slice(whole, at, min(at+frame.Rows, int(whole.NumRows())))); err != nil {
			return err
		}
	}
	if err := errors.Join(stream.Close(), w.Flush()); err != nil {
		return err
	}
	s.memory -= o.bytes
	o.frames, o.bytes = nil, 0
	return nil
}

// newPath is a path for a file; "" where the run has no disk.
func (s *windowSpool) newPath() (string, error) {
	if s.dir == "" {
		temp, err := s.env.TempDir()
		if err != nil || temp == "" {
			return "", err
		}
		if s.dir, err = os.MkdirTemp(temp, "windows-"); err != nil {
			return "", err
		}
	}
	s.files++
	return filepath.Join(s.dir, fmt.Sprintf("%d.arrow", s.files)), nil
}

// read takes the rows of a window out, in the order in which they came. done
// removes them.
func (s *windowSpool) read(o *openWindow) (next SQLInput, done func()) {
	frames := o.frames
	s.memory -= o.bytes
	o.frames, o.bytes = nil, 0
	var file *os.File
	var from *bufio.Reader
	var stream *ipc.Reader
	fromFile := func() (f frame.Frame, err error) {
		if file == nil {
			if file, err = os.Open(o.path); err != nil {
				return nil, err
			}
			from = bufio.NewReaderSize(file, 1<<20)
		}
		for {
			if stream == nil {
				if _, err := from.Peek(1); err != nil {
					return nil, err // io.EOF after the last stream
				}
				if stream, err = ipc.NewReader(from, ipc.WithAllocator(frame.Allocator)); err != nil {
					return nil, err
				}
			}
			if stream.Next() {
				r := stream.RecordBatch()
				r.Retain() // the reader's next call releases it
				return r, nil
			}
			if err := stream.Err(); err != nil {
				return nil, err
			}
			stream.Release()
			stream = nil
		}
	}
	next = func(context.Context) (frame.Frame, error) {
		if o.path != "" {
			f, err := fromFile()
			if err == nil {
				return f, nil
			}
			if !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read a spooled window: %w", err)
			}
			// what was not spilled comes after what was
		}
		if len(frames) == 0 {
			return nil, io.EOF
		}
		f := frames[0]
		frames = frames[1:]
		return f, nil
	}
	return next, func() {
		if file != nil {
			file.Close()
		}
		if o.path != "" {
			os.Remove(o.path)
		}
	}
}
