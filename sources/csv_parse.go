package sources

import (
	"bytes"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// csvParser makes frames of the chunks of one file.
type csvParser struct {
	format *csvFormat
	width  int   // fields of a record
	take   []int // the field of each column of the schema
}

// workbench is memory that one chunk after another is built in.
type workbench struct {
	builder *frame.Builder
	spans   []span
}

// blockRows is how many rows are split before their columns are parsed: as many
// as keep text and spans in the first levels of cache.
const blockRows = 512

// badRow is why a record of a chunk is not a row.
type badRow struct {
	record int
	field  int // from 0; -1 unknown
	at     int // offset in the chunk
	err    error
}

func (p *csvParser) parse(k *chunk) (frame.Frame, []*stages.Rejected, error) {
	f, bad, err := p.build(k)
	if err != nil || len(bad) == 0 {
		return f, nil, err
	}
	slices.SortFunc(bad, func(a, b badRow) int { return a.record - b.record })
	if r := p.format.reader.rejects; r != "skip" && r != "dead_letter" {
		return nil, nil, p.explain(k, bad[0])
	}
	var rejected []*stages.Rejected
	first := k.after.Total - int64(len(k.records))
	good := k.records[:0:0]
	from := 0
	for _, b := range bad {
		r := k.records[b.record]
		rejected = append(rejected, &stages.Rejected{
			Raw:   bytes.TrimRight(bytes.Clone(k.buf[r.start:r.end]), "\r\n"),
			First: first + int64(b.record),
			Err:   p.explain(k, b),
		})
		good = append(good, k.records[from:b.record]...)
		from = b.record + 1
	}
	good = append(good, k.records[from:]...)
	if len(good) == 0 {
		return nil, rejected, nil
	}
	again := *k
	again.records = good
	f, bad, err = p.build(&again)
	if err == nil && len(bad) > 0 {
		err = p.explain(k, bad[0])
	}
	return f, rejected, err
}

// build makes a frame of all records; it is of use only if none is bad.
func (p *csvParser) build(k *chunk) (frame.Frame, []badRow, error) {
	d := p.format.dialect
	w := p.format.benches.get()
	b := w.builder
	valid := p.format.transcoded || utf8.Valid(k.buf)
	out := fields{buf: k.buf, spans: w.spans}
	var bad []badRow
	for from := 0; from < len(k.records); from += blockRows {
		block := k.records[from:min(from+blockRows, len(k.records))]
		out.spans, out.buf = out.spans[:0], out.buf[:len(k.buf)]
		for i, r := range block {
			before := len(out.spans)
			var f *fault
			if r.quoted {
				f = d.split(k.buf, int(r.start), int(r.end), &out)
			} else {
				d.plain(k.buf, int(r.start), int(r.end), &out)
			}
			if f == nil && len(out.spans)-before == p.width {
				continue
			}
			got := len(out.spans) - before
			switch {
			case f != nil:
				bad = append(bad, badRow{from + i, f.field, f.at, f.err})
			case got > p.width || p.format.config.Ragged != "pad":
				bad = append(bad, badRow{from + i, -1, int(r.start), fmt.Errorf("%d fields, not %d%s", got, p.width, p.raggedHint(got))})
			}
			out.spans = out.spans[:min(before+p.width, len(out.spans))]
			for len(out.spans) < before+p.width {
				out.spans = append(out.spans, missingField)
			}
		}
		for i, field := range p.take {
			bad = p.column(b.Column(i), &out, field, from, len(block), valid, bad)
		}
	}
	k.buf = out.buf[:len(k.buf)]
	if len(bad) > 0 {
		return nil, firstOfEach(bad), nil
	}
	f, err := b.Frame()
	if len(p.take) == 0 { // columns asks for those of directories alone
		f = frame.New(b.Schema(), nil, len(k.records))
	}
	w.spans = out.spans
	p.format.benches.put(w)
	return f, nil, err
}

// missingField stands for a field that the record does not have.
var missingField = span{start: ^uint32(0)}

func (p *csvParser) raggedHint(got int) string {
	if got < p.width {
		return " (ragged: pad reads short records)"
	}
	return ""
}

// column appends one field of a block's rows to a column.
func (p *csvParser) column(c *frame.Column, out *fields, field, from, rows int, valid bool, bad []badRow) []badRow {
	na := &p.format.na
	kind := frame.KindOf(c.Field())
	isText := kind == frame.KindString || kind == frame.KindFactor
	comma := p.format.config.Decimal == "," && (kind == frame.KindDouble || kind == frame.KindDifftime)
	for r := range rows {
		s := out.spans[r*p.width+field]
		if s == missingField {
			c.AppendNull()
			continue
		}
		text := s.of(out.buf)
		if isText {
			switch {
			case len(text) <= na.longest && !s.quoted() && na.is(text):
				c.AppendNull()
			case valid || utf8.Valid(text):
				c.AppendBytes(text)
			default:
				c.AppendNull()
				bad = append(bad, badRow{from + r, field, int(s.start), errEncoding})
			}
			continue
		}
		if n := len(text); n > 0 && (isBlank(text[0]) || isBlank(text[n-1])) {
			text = bytes.TrimSpace(text)
		}
		if len(text) <= na.longest && na.is(text) {
			c.AppendNull()
			continue
		}
		ok := false
		if comma {
			ok = c.ParseText(swapDecimal(text))
		} else {
			ok = c.ParseText(text)
		}
		if !ok {
			c.AppendNull()
			bad = append(bad, badRow{from + r, field, int(s.start),
				fmt.Errorf("%s is not %s%s", shown(text), article(frame.TypeName(c.Field())), typeHint(c.Field(), text))})
		}
	}
	return bad
}

// firstOfEach keeps one reason for each record, the leftmost.
func firstOfEach(bad []badRow) []badRow {
	slices.SortStableFunc(bad, func(a, b badRow) int {
		if a.record != b.record {
			return a.record - b.record
		}
		return a.field - b.field
	})
	return slices.CompactFunc(bad, func(a, b badRow) bool { return a.record == b.record })
}

// explain places a bad row: file, line, character, field and column.
func (p *csvParser) explain(k *chunk, b badRow) error {
	at := b.at
	if at >= len(k.buf) { // the text of a rewritten field
		at = int(k.records[b.record].start)
	}
	start := bytes.LastIndexByte(k.buf[:at], '\n') + 1
	place := fmt.Sprintf("%s:%d:%d", k.name, k.lineOf(at), utf8.RuneCount(k.buf[start:at])+1)
	switch {
	case b.field < 0:
		return fmt.Errorf("%s: %w", place, b.err)
	case b.field < len(p.format.fileNames):
		return fmt.Errorf("%s: field %d (%s): %w", place, b.field+1, p.format.fileNames[b.field], b.err)
	}
	return fmt.Errorf("%s: field %d: %w", place, b.field+1, b.err)
}
