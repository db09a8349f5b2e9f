package sources

import (
	"context"
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

// parseFunc makes a frame of a chunk, nil where no row is good. Bad rows are left
// out and told apart; an error ends the reading.
type parseFunc func(k *chunk) (frame.Frame, []*stages.Rejected, error)

// textReader reads text files: one goroutine reads and cuts, others parse.
type textReader struct {
	name string // of the source, for errors
	env  *stages.Env
	*found
	charset   string
	maxRecord int
	rejects   string // on_error
	live      bool   // rows go on as they come, with the pauses of standard input
	format    textFormat
	schema    *frame.Schema // with the columns of directories
	added     *partitions

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	pool   sync.Pool
	first  *textFile // opened for the schema, and read on
	ahead  *ahead[*Read]
}

// textFile is one file being read.
type textFile struct {
	*chunker
	parse  parseFunc
	added  *constants
	sample []*chunk // cut already
}

func newTextReader(ctx context.Context, name string, env *stages.Env, in *found) *textReader {
	t := &textReader{name: name, env: env, found: in, charset: "utf-8"}
	t.ctx, t.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return t
}

// open opens file i before its first record.
func (t *textReader) open(ctx context.Context, i int) (*textFile, error) {
	in, err := openInput(ctx, t.files[i], t.charset)
	if err != nil {
		return nil, err
	}
	at := position{File: i, Path: t.files[i].name, Offset: in.offset}
	in.live = t.live
	f := &textFile{chunker: newChunker(in, nil, t.maxRecord, &t.pool, at)}
	return f, nil
}

// begin readies an opened file for its records.
func (t *textReader) begin(f *textFile, format textFormat) (err error) {
	f.cutter = format.cutter()
	f.parse, err = format.begin(f.chunker)
	return err
}

// sample shows see the first chunks of the first file that has good records, of
// which see returns the number: chunks up to so many records. Where reading
// starts there, the file stays open and nothing is read twice.
func (t *textReader) sample(ctx context.Context, format textFormat, records int, see func(k *chunk) (good int)) error {
	defer context.AfterFunc(ctx, t.cancel)() // the input may keep us waiting
	good := 0
	for i := 0; i < len(t.files) && good == 0; i++ {
		f, err := t.open(t.ctx, i)
		if err != nil {
			return err
		}
		keep := i == 0 && t.at == (position{})
		if keep {
			t.first = f
		}
		good, err = t.sampleFile(ctx, f, format, keep, records, see)
		if !keep {
			f.in.close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *textReader) sampleFile(ctx context.Context, f *textFile, format textFormat, keep bool, records int, see func(k *chunk) int) (good int, err error) {
	if err := t.begin(f, format); err != nil {
		return 0, err
	}
	f.pause = firstPause
	defer func() { f.pause = pause }()
	paused := false
	for seen := 0; seen < max(records, 1) && !paused; {
		k, err := f.next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return good, err
		}
		seen += len(k.records)
		paused = k.paused
		good += see(k)
		if keep {
			f.sample = append(f.sample, k)
		} else {
			k.release(&t.pool)
		}
	}
	return good, nil
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

func (t *textReader) produce(ctx context.Context, start func(int, job[*Read]) bool) error {
	opened := &advance[*textFile]{
		open:  func(i int) (*textFile, error) { return t.open(ctx, i) },
		drop:  func(f *textFile) { f.in.close() },
		depth: depthOf(t.files), next: t.at.File, end: len(t.files),
	}
	defer opened.close()
	if t.first != nil {
		opened.next++
	}
	total, untold := t.at.Total-t.at.Rows, int64(0)
	for i := t.at.File; i < len(t.files); i++ {
		f := t.first
		t.first = nil
		if f == nil {
			var err error
			if f, err = opened.take(); err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			f.pos.Total = total
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

func (t *textReader) readFile(ctx context.Context, f *textFile, i int, start func(int, job[*Read]) bool) error {
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
		if !start(1, func(_ context.Context, emit func(*Read) bool) error {
			read, err := t.read(f.parse, f.added, k)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			k.release(&t.pool)
			emit(read)
			return nil
		}) {
			return nil
		}
	}
}

// read makes the read of a chunk. One without a good row is a read as well: what
// it rejects has a position like every row.
func (t *textReader) read(parse parseFunc, added *constants, k *chunk) (*Read, error) {
	f, bad, err := parse(k)
	if err != nil {
		return nil, err
	}
	for _, r := range bad {
		r.Stage, r.Drop, r.Attempt = t.env.Stage, t.rejects == "skip", 1
	}
	if f == nil {
		f = frame.Empty(t.schema)
	} else if f, err = added.add(f); err != nil {
		return nil, fmt.Errorf("%s: %w", k.name, err)
	}
	return &Read{Frame: f, Bytes: k.bytes, Pos: k.after.String(), Rejected: bad}, nil
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

func (t *textReader) Next(ctx context.Context) (*Read, error) { return t.ahead.next(ctx) }

func (t *textReader) Close() error {
	t.cancel()
	if t.ahead != nil {
		t.ahead.close()
	}
	if t.first != nil {
		t.first.in.close()
		t.first = nil
	}
	return nil
}
