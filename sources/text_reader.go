package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// textFormat is what CSV and NDJSON add to textReader.
type textFormat interface {
	// cutter makes a cutter for one file.
	cutter() cutter
	// begin takes what comes before the first record of a file and returns how
	// its records are parsed. The function is called by several goroutines.
	begin(c *chunker) (parseFunc, error)
}

// parseFunc makes a frame of a chunk. Bad rows are left out and told apart; an
// error ends the reading.
type parseFunc func(k *chunk) (*parsed, error)

type parsed struct {
	frame frame.Frame // nil where no row is good
	bad   []*stages.Rejected
	bytes int64
	pos   string
}

// textReader reads text files: one goroutine reads and cuts, others parse.
type textReader struct {
	name      string // of the source, for errors
	env       *stages.Env
	files     []file
	at        position
	charset   string
	maxRecord int
	rejects   string // on_error
	format    textFormat
	schema    *frame.Schema // with the columns of directories
	dirs      *directories
	added     *partitions

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	pool   sync.Pool
	first  *textFile // opened for the schema, and read on
	ahead  *ahead[*parsed]
	got    *parsed // of which rows must still be rejected
	bytes  int64   // of chunks without a good row, told with the next read
	err    error
}

// textFile is one file being read.
type textFile struct {
	*chunker
	parse  parseFunc
	added  *constants
	sample []*chunk // cut already
}

func newTextReader(ctx context.Context, name string, env *stages.Env, files []file, at position, charset string, maxRecord int) *textReader {
	t := &textReader{name: name, env: env, files: files, at: at, charset: charset, maxRecord: maxRecord}
	if t.charset == "" {
		t.charset = "utf-8"
	}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return t
}

// open opens file i before its first record.
func (t *textReader) open(ctx context.Context, i int, total int64) (*textFile, error) {
	in, err := openInput(ctx, t.files[i], t.charset)
	if err != nil {
		return nil, err
	}
	at := position{File: i, Path: t.files[i].name, Total: total, Offset: in.offset}
	f := &textFile{chunker: newChunker(in, nil, t.maxRecord, &t.pool, at)}
	return f, nil
}

// begin readies an opened file for its records.
func (t *textReader) begin(f *textFile, format textFormat) (err error) {
	f.cutter = format.cutter()
	f.parse, err = format.begin(f.chunker)
	return err
}

// sample reads chunks of the first file that has records, until see returns
// false. Where reading starts there, the file stays open and nothing is read twice.
func (t *textReader) sample(ctx context.Context, format textFormat, see func(k *chunk) (more bool, err error)) error {
	defer context.AfterFunc(ctx, t.cancel)() // the input may keep us waiting
	seen := false
	for i := 0; i < len(t.files) && !seen; i++ {
		f, err := t.open(t.ctx, i, 0)
		if err != nil {
			return err
		}
		keep := i == 0 && t.at == (position{})
		if keep {
			t.first = f
		}
		seen, err = t.sampleFile(ctx, f, format, keep, see)
		if !keep {
			f.in.close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *textReader) sampleFile(ctx context.Context, f *textFile, format textFormat, keep bool, see func(k *chunk) (bool, error)) (seen bool, err error) {
	if err := t.begin(f, format); err != nil {
		return false, err
	}
	for more := true; more; {
		k, err := f.next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return seen, err
		}
		seen = true
		if more, err = see(k); err != nil {
			return seen, err
		}
		if keep {
			f.sample = append(f.sample, k)
		} else {
			k.release(&t.pool)
		}
	}
	return seen, nil
}

// start begins to read ahead. The schema is known.
func (t *textReader) start(format textFormat) {
	t.format = format
	t.ahead = newAhead(t.ctx, t.env.Parallel, t.produce)
}

// settle says what frames the format makes of the files; order and declared
// are those of directories.over.
func (t *textReader) settle(s *frame.Schema, order []string, declared map[string]arrow.Field) (err error) {
	t.added, err = t.dirs.over(s, order, declared)
	t.schema = t.added.widen(s)
	return err
}

func (t *textReader) produce(ctx context.Context, start func(int, job[*parsed]) bool) error {
	total, untold := t.at.Total-t.at.Rows, int64(0)
	for i := t.at.File; i < len(t.files); i++ {
		f := t.first
		t.first = nil
		if f == nil {
			var err error
			if f, err = t.open(ctx, i, total); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
		}
		f.counted -= untold // bytes of files that had no row after them
		err := t.readFile(ctx, f, i, start)
		f.in.close()
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		total, untold = f.pos.Total, f.in.read.n.Load()-f.counted
	}
	return nil
}

func (t *textReader) readFile(ctx context.Context, f *textFile, i int, start func(int, job[*parsed]) bool) error {
	if f.parse == nil {
		if err := t.begin(f, t.format); err != nil {
			return err
		}
		if i == t.at.File && t.at.Rows > 0 {
			if err := f.skip(ctx, t.at); err != nil {
				return err
			}
		}
	}
	f.added = t.added.of(i)
	for {
		k, err := f.nextChunk(ctx)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		parse := f.parse
		if !start(1, func(_ context.Context, emit func(*parsed) bool) error {
			p, err := parse(k)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			if p.frame != nil {
				if p.frame, err = f.added.add(p.frame); err != nil {
					return fmt.Errorf("%s: %s: %w", t.name, f.in.name, err)
				}
			}
			p.bytes, p.pos = k.bytes, k.after.String()
			k.release(&t.pool)
			emit(p)
			return nil
		}) {
			return nil
		}
	}
}

// nextChunk is the next chunk, those of the sample first.
func (f *textFile) nextChunk(ctx context.Context) (*chunk, error) {
	if len(f.sample) > 0 {
		k := f.sample[0]
		f.sample = f.sample[1:]
		return k, nil
	}
	return f.next(ctx)
}

func (t *textReader) Schema() *frame.Schema { return t.schema }

func (t *textReader) Size() (s Size) {
	for _, f := range t.files {
		s.Bytes += f.size
	}
	return s
}

func (t *textReader) Traits() Traits {
	replayable := true
	for _, f := range t.files {
		replayable = replayable && f.path != "-"
	}
	return Traits{Ordered: replayable, Replayable: replayable}
}

// Next gives bad rows to env.Reject before it returns the good ones after them.
func (t *textReader) Next(ctx context.Context) (*Read, error) {
	if t.err != nil {
		return nil, t.err
	}
	for {
		if t.got == nil {
			p, err := t.ahead.next(ctx)
			if err != nil {
				return nil, t.failed(ctx, err)
			}
			t.got = p
		}
		for len(t.got.bad) > 0 {
			r := t.got.bad[0]
			r.Stage, r.Drop, r.Attempt = t.env.Stage, t.rejects == "skip", 1
			if t.env.Reject == nil {
				return nil, t.failed(ctx, fmt.Errorf("%s: on_error: %s: nothing takes the bad row: %w", t.name, t.rejects, r.Err))
			}
			if err := t.env.Reject(ctx, r); err != nil {
				return nil, t.failed(ctx, err)
			}
			t.got.bad = t.got.bad[1:]
		}
		p := t.got
		t.got = nil
		t.bytes += p.bytes
		if p.frame != nil {
			read := &Read{Frame: p.frame, Bytes: t.bytes, Pos: p.pos}
			t.bytes = 0
			return read, nil
		}
	}
}

// failed remembers an error, unless it is only that ctx ended.
func (t *textReader) failed(ctx context.Context, err error) error {
	if err == io.EOF {
		t.err = err
		return err
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	t.err = err
	return err
}

func (t *textReader) Close() error {
	t.cancel()
	if t.ahead != nil {
		t.ahead.close()
	}
	if t.first != nil {
		t.first.in.close()
		t.first = nil
	}
	t.err = errClosed
	return nil
}
