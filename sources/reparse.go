package sources

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Reparser is implemented by sources that keep the text of records that they
// reject, and can parse such a text again.
type Reparser interface {
	// Reparse looks at the input for its columns and their types, as Open does.
	Reparse(ctx context.Context, env *stages.Env) (*Parser, error)
}

var (
	_ Reparser = (*CSV)(nil)
	_ Reparser = (*NDJSON)(nil)
)

// Parser parses records one by one, whatever is wrong with those beside them.
type Parser struct {
	reader *textReader
	schema *frame.Schema
	cutter cutter
	parse  parseFunc
}

// Reparse implements Reparser.
func (c *CSV) Reparse(ctx context.Context, env *stages.Env) (*Parser, error) {
	return reparse(ctx, env, c, c.Path, func(t *textReader) parseFunc {
		f := t.format.(*csvFormat)
		p := &csvParser{format: f, width: len(f.fileNames), take: make([]int, len(f.kept))}
		for i, name := range f.kept {
			p.take[i] = slices.Index(f.fileNames, name)
		}
		return p.parse
	})
}

// Reparse implements Reparser.
func (s *NDJSON) Reparse(ctx context.Context, env *stages.Env) (*Parser, error) {
	return reparse(ctx, env, s, s.Path, func(t *textReader) parseFunc { return t.format.(*ndjsonFormat).parse })
}

func reparse(ctx context.Context, env *stages.Env, s Source, path Paths, parser func(*textReader) parseFunc) (*Parser, error) {
	if slices.Contains(path, "-") {
		return nil, errors.New("standard input cannot be looked at again for its columns")
	}
	r, err := s.Open(ctx, env, "")
	if err != nil {
		return nil, err
	}
	t := r.(*textReader)
	if err := t.Close(); err != nil {
		return nil, err
	}
	if t.dirs != nil && len(t.dirs.names) > 0 {
		return nil, fmt.Errorf("its directories give the columns %s, which the text of a record does not have", strings.Join(t.dirs.names, ", "))
	}
	return &Parser{reader: t, schema: t.schema, cutter: t.format.cutter(), parse: parser(t)}, nil
}

// Schema is that of the rows.
func (p *Parser) Schema() *frame.Schema { return p.schema }

// Parse makes rows of texts, in their order. First of a rejected one is its index.
// Where the source says on_error: stop, a bad one is an error. name is what
// messages call the texts; the line that they tell is that among them.
func (p *Parser) Parse(name string, texts [][]byte) (frame.Frame, []*stages.Rejected, error) {
	k := &chunk{name: name, final: true}
	var of []int64 // by record: the index of its text
	for i, text := range texts {
		at := len(k.buf)
		k.buf = append(append(k.buf, text...), '\n')
		p.cutter.reset()
		for at < len(k.buf) {
			r, end, found := p.cutter.cut(k.buf, at, true)
			if found {
				k.records = append(k.records, r)
				of = append(of, int64(i))
			}
			at = max(end, at+1)
		}
	}
	k.after.Total = int64(len(k.records))
	if len(k.records) == 0 {
		return frame.Empty(p.schema), nil, nil
	}
	f, bad, err := p.parse(k)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range bad {
		r.First = of[r.First]
		r.Stage, r.Drop, r.Attempt = p.reader.env.Stage, p.reader.rejects == "skip", 1
	}
	if f == nil {
		f = frame.Empty(p.schema)
	}
	return f, bad, nil
}
