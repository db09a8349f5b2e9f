package sources

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/frame"
)

// cutter finds where the records of a text begin and end.
type cutter interface {
	// cut looks at what begins at buf[at]: a record (found), or a line that is
	// none. end is where it ends; -1 says that the buffer ends before, and that
	// more text may follow, which final excludes.
	cut(buf []byte, at int, final bool) (r record, end int, found bool)
	// reset says that buf will be another one.
	reset()
}

// record is the place of one record in a chunk, with its newline.
type record struct {
	start, end uint32
	quoted     bool // it holds a quote, so that only dialect.walk can split it
}

// chunk is text that becomes one frame: whole records, at most frame.Rows, and
// no more once they are chunkBytes long. So the cuts depend on the text alone, but
// where the input is live.
type chunk struct {
	name    string
	buf     []byte
	records []record
	line    int64 // lines of the file before buf
	after   position
	bytes   int64 // bytes on disk that were read for it
	final   bool  // the text of the file ends with it
	paused  bool  // it ends because a live input was not to be waited for
}

const (
	chunkBytes = 16 << 20
	readBytes  = 256 << 10
)

// lineOf is the number of the line, from 1, that holds buf[at].
func (c *chunk) lineOf(at int) int64 {
	return c.line + int64(bytes.Count(c.buf[:at], []byte{'\n'})) + 1
}

// chunker cuts the text of one file into chunks.
type chunker struct {
	in        *input
	cutter    cutter
	maxRecord int
	pause     time.Duration // of a live input
	pool      *sync.Pool    // of *chunk, shared by the files of one reader

	pos     position // after what was handed out
	line    int64
	buf     []byte // text not yet handed out; begins where a record or line does
	eof     bool
	err     error // what ended reading, other than io.EOF
	counted int64 // bytes on disk that were told
}

func newChunker(in *input, c cutter, maxRecord int, pool *sync.Pool, at position) *chunker {
	if maxRecord <= 0 {
		maxRecord = 16 << 20
	}
	return &chunker{in: in, cutter: c, maxRecord: maxRecord, pause: pause, pool: pool, pos: at}
}

// takeChunk gives an empty chunk with the memory of one that was released.
func takeChunk(pool *sync.Pool) *chunk {
	if k, ok := pool.Get().(*chunk); ok {
		*k = chunk{buf: k.buf[:0], records: k.records[:0]}
		return k
	}
	return &chunk{buf: make([]byte, 0, 4*readBytes), records: make([]record, 0, frame.Rows)}
}

// release gives a chunk's memory back; nothing may point into it any more.
func (c *chunk) release(pool *sync.Pool) {
	if cap(c.buf) <= 2*chunkBytes {
		pool.Put(c)
	}
}

// fill reads more text: what the input has at hand, but as much as there is
// from the unfinished record on, so that a long record is not looked at again
// and again.
func (c *chunker) fill(unfinished int) {
	enough := len(c.buf) + max(1, unfinished)
	if c.in.live {
		enough = len(c.buf) + 1 // a pause may come at any byte
	}
	c.buf = slices.Grow(c.buf, max(readBytes, unfinished))
	for len(c.buf) < enough && !c.eof {
		n, err := c.in.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if err != nil {
			c.eof = true
		}
		if err != nil && err != io.EOF {
			c.err = err
		}
	}
}

// next gives the next chunk with at least one record, or io.EOF. Records that
// were complete before an error of the input are handed out before the error.
func (c *chunker) next(ctx context.Context) (*chunk, error) {
	c.cutter.reset()
	out := takeChunk(c.pool)
	out.name, out.line = c.in.name, c.line
	at, plain := 0, true
	var since time.Time // when the first record had come, of a live input
	for len(out.records) < frame.Rows && at < chunkBytes {
		if at < len(c.buf) {
			r, end, found := c.cutter.cut(c.buf, at, c.eof && c.err == nil)
			if end >= 0 {
				if found {
					out.records = append(out.records, r)
				}
				plain = plain && found && !r.quoted
				at = end
				continue
			}
		}
		if c.eof {
			break
		}
		if len(c.buf)-at > c.maxRecord {
			return nil, fmt.Errorf("%s:%d: a record is longer than max_record (%d bytes); is a quote not closed?",
				c.in.name, out.line+int64(bytes.Count(c.buf[:at], []byte{'\n'}))+1, c.maxRecord)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c.in.live && len(out.records) > 0 {
			if since.IsZero() {
				since = time.Now()
			}
			if left := c.pause - time.Since(since); left <= 0 || c.in.quiet(left) {
				out.paused = true
				break
			}
		}
		c.fill(len(c.buf) - at)
	}
	if len(out.records) == 0 && c.eof {
		if c.err != nil {
			return nil, fmt.Errorf("%s: %w (after %d rows)", c.in.name, c.in.explain(c.err), c.pos.Rows)
		}
		if at == len(c.buf) {
			return nil, io.EOF
		}
	}
	c.take(out, at, plain)
	if len(out.records) == 0 { // 16 MiB of comments
		out.release(c.pool)
		return c.next(ctx)
	}
	return out, nil
}

// take moves the text before at from the chunker to the chunk.
func (c *chunker) take(out *chunk, at int, plain bool) {
	rest := append(out.buf[:0], c.buf[at:]...)
	out.buf, c.buf = c.buf[:at], rest
	out.final = c.eof && c.err == nil && len(rest) == 0
	if plain {
		c.line += int64(len(out.records))
	} else {
		c.line += int64(bytes.Count(out.buf, []byte{'\n'}))
	}
	c.advance(int64(at), int64(len(out.records)))
	out.after = c.pos
	read := c.in.read.n.Load()
	out.bytes, c.counted = read-c.counted, read
}

// advance moves the position behind text and records.
func (c *chunker) advance(text, records int64) {
	c.pos.Rows += records
	c.pos.Total += records
	if c.in.seeks {
		c.pos.Offset += text
		c.pos.Line = c.line
	}
}

// lines drops n lines, whatever is in them.
func (c *chunker) lines(n int) error {
	for range n {
		if _, _, err := c.one(lineCutter{}); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// one takes the next record alone, such as a header, and the line on which it
// begins. The text is valid until the next call. It is not counted as a row.
func (c *chunker) one(cut cutter) (text []byte, line int64, err error) {
	r, end, err := c.find(cut)
	if err != nil {
		return nil, 0, err
	}
	text = c.buf[r.start:r.end]
	line = c.line + int64(bytes.Count(c.buf[:r.start], []byte{'\n'})) + 1
	c.line += int64(bytes.Count(c.buf[:end], []byte{'\n'}))
	c.buf = c.buf[end:]
	c.advance(int64(end), 0)
	return text, line, nil
}

// peek looks at the next record and leaves it.
func (c *chunker) peek(cut cutter) ([]byte, error) {
	r, _, err := c.find(cut)
	if err != nil {
		return nil, err
	}
	return c.buf[r.start:r.end], nil
}

// find has the next record in the buffer.
func (c *chunker) find(cut cutter) (record, int, error) {
	cut.reset()
	at := 0
	for {
		if at < len(c.buf) {
			r, end, found := cut.cut(c.buf, at, c.eof && c.err == nil)
			if found && end >= 0 {
				return r, end, nil
			}
			if end >= 0 {
				at = end
				continue
			}
		}
		switch {
		case c.err != nil:
			return record{}, 0, fmt.Errorf("%s: %w", c.in.name, c.in.explain(c.err))
		case c.eof:
			return record{}, 0, io.EOF
		case len(c.buf)-at > c.maxRecord:
			return record{}, 0, fmt.Errorf("%s:1: the first record is longer than max_record (%d bytes)", c.in.name, c.maxRecord)
		}
		c.fill(len(c.buf) - at)
	}
}

// skip goes to where a former reader stood: by an offset where the file has
// them, else by cutting and dropping.
func (c *chunker) skip(ctx context.Context, to position) error {
	if to.Offset > 0 && c.in.seeks {
		if err := c.in.seek(to.Offset); err != nil {
			return err
		}
		c.buf, c.eof, c.err = c.buf[:0], false, nil
		c.line, c.pos, c.counted = to.Line, to, c.counted+to.Offset
		return nil
	}
	total := to.Total - to.Rows
	for c.pos.Rows < to.Rows {
		before := c.pos.Rows
		k, err := c.next(ctx)
		if err == io.EOF || err == nil && c.pos.Rows > to.Rows {
			return fmt.Errorf("resume: %s has changed: no read of it ends after %d rows (one begins after %d)", c.in.name, to.Rows, before)
		}
		if err != nil {
			return err
		}
		k.release(c.pool)
	}
	c.pos.Total = total + c.pos.Rows
	return nil
}

// lineCutter takes every line as a record.
type lineCutter struct{}

func (lineCutter) reset() {}

func (lineCutter) cut(buf []byte, at int, final bool) (record, int, bool) {
	end := len(buf)
	if i := bytes.IndexByte(buf[at:], '\n'); i >= 0 {
		end = at + i + 1
	} else if !final {
		return record{}, -1, false
	}
	return record{start: uint32(at), end: uint32(end)}, end, true
}
