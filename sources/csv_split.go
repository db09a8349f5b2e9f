package sources

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
)

// dialect is how text is cut into records and fields. The rules are those of
// RFC 4180 as encoding/csv has them with LazyQuotes off: a field that begins
// with a quote ends with one, a quote inside is doubled, a field that does not
// begin with a quote holds none, \r\n is \n everywhere, blank lines are no
// records. TestSplitMatchesEncodingCSV and FuzzSplit hold it to that.
type dialect struct {
	comma   byte
	quote   byte // 0: none
	comment byte // a line that begins with it is no record; 0: none
	trim    bool // drop white space around fields that are not quoted
}

// The two ways for a record to be malformed.
var (
	errBareQuote = errors.New(`a quote in a field that does not begin with one; a quoted field doubles the quotes inside`)
	errQuote     = errors.New(`a quoted field does not end before the comma or the end of the line; a quote inside is written twice`)
)

// span is a field's place in a buffer. The top bit of end marks a field that
// was quoted.
type span struct{ start, end uint32 }

const quotedBit = 1 << 31

func (s span) quoted() bool         { return s.end&quotedBit != 0 }
func (s span) of(buf []byte) []byte { return buf[s.start : s.end&^quotedBit] }

// fault says why and where a record is malformed.
type fault struct {
	err   error
	at    int // offset in the buffer
	field int // from 0
}

// fields receives the fields of records. Text that is not in the buffer as it
// is read (a doubled quote, for one) is appended to the buffer.
type fields struct {
	buf   []byte
	spans []span
}

// walk reads the record that begins at buf[at] and returns where it ends,
// after its newline. It returns -1 where the buffer ends before the record
// does and final is not set, which says that no more text follows. A malformed
// record ends at the end of the line with the fault. out may be nil.
func (d *dialect) walk(buf []byte, at int, final bool, out *fields) (int, *fault) {
	i := at
	for field := 0; ; field++ {
		if d.trim {
			for i < len(buf) && isBlank(buf[i]) && buf[i] != d.comma {
				i++
			}
		}
		if i < len(buf) && d.quote != 0 && buf[i] == d.quote {
			end, next, f := d.quoted(buf, i, field, final, out)
			if f != nil || !next {
				return end, f
			}
			i = end
			continue
		}
		start, bare := i, -1
		for i < len(buf) && buf[i] != d.comma && buf[i] != '\n' {
			if bare < 0 && d.quote != 0 && buf[i] == d.quote {
				bare = i
			}
			i++
		}
		if i == len(buf) && !final {
			return -1, nil
		}
		if bare >= 0 {
			return d.endOfLine(buf, i, final), &fault{errBareQuote, bare, field}
		}
		stop := i
		if (i == len(buf) || buf[i] == '\n') && stop > start && buf[stop-1] == '\r' {
			stop--
		}
		if out != nil {
			out.spans = append(out.spans, d.trimmed(buf, start, stop))
		}
		if i == len(buf) {
			return i, nil
		}
		i++
		if buf[i-1] == '\n' {
			return i, nil
		}
	}
}

// quoted reads the field whose opening quote is buf[open]. next reports whether
// another field of the record follows at end.
func (d *dialect) quoted(buf []byte, open, field int, final bool, out *fields) (end int, next bool, f *fault) {
	start := open + 1
	segment, rewritten := start, -1 // text not yet rewritten; where in out.buf the rewritten field begins
	rewrite := func(to int) {
		if out == nil {
			return
		}
		if rewritten < 0 {
			rewritten = len(out.buf)
		}
		out.buf = appendLines(out.buf, buf[segment:to])
	}
	for i := start; ; {
		j := bytes.IndexByte(buf[i:], d.quote)
		if j < 0 {
			if !final {
				return -1, false, nil
			}
			return len(buf), false, &fault{errQuote, open, field}
		}
		stop := i + j
		i = stop + 1
		if i+1 >= len(buf) && !final {
			return -1, false, nil // what follows the quote is not known
		}
		switch {
		case i == len(buf):
			end = i
		case buf[i] == d.quote:
			rewrite(i)
			i++
			segment = i
			continue
		case buf[i] == d.comma:
			end, next = i+1, true
		case buf[i] == '\n':
			end = i + 1
		case buf[i] == '\r' && i+1 == len(buf):
			end = i + 1
		case buf[i] == '\r' && buf[i+1] == '\n':
			end = i + 2
		default:
			return d.endOfLine(buf, i, final), false, &fault{errQuote, stop, field}
		}
		if out == nil {
			return end, next, nil
		}
		if rewritten < 0 && !bytes.Contains(buf[start:stop], crlf) {
			out.spans = append(out.spans, span{uint32(start), uint32(stop) | quotedBit})
			return end, next, nil
		}
		rewrite(stop)
		out.spans = append(out.spans, span{uint32(rewritten), uint32(len(out.buf)) | quotedBit})
		return end, next, nil
	}
}

// split splits the record buf[start:end]. It hops from quote to quote; a record
// in which that meets anything odd is walked.
func (d *dialect) split(buf []byte, start, end int, out *fields) *fault {
	mark := len(out.spans)
	if !d.trim && d.hop(buf[:end], start, out) {
		return nil
	}
	out.spans = out.spans[:mark]
	_, f := d.walk(buf[:end], start, true, out)
	return f
}

// hop splits the record that is buf[i:], if it is well formed.
func (d *dialect) hop(buf []byte, i int, out *fields) bool {
	for {
		q := bytes.IndexByte(buf[i:], d.quote)
		if q < 0 {
			d.plain(buf, i, len(buf), out)
			return true
		}
		q += i
		if q > i {
			if buf[q-1] != d.comma {
				return false
			}
			d.separate(buf, i, q-1, out)
		}
		end, next, f := d.quoted(buf, q, 0, true, out)
		if f != nil || !next {
			return f == nil && end == len(buf)
		}
		i = end
	}
}

// plain splits a record, or its end, that holds no quote.
func (d *dialect) plain(buf []byte, start, end int, out *fields) {
	if end > start && buf[end-1] == '\n' {
		end--
	}
	if end > start && buf[end-1] == '\r' {
		end--
	}
	first := len(out.spans)
	d.separate(buf, start, end, out)
	if d.trim {
		for k, s := range out.spans[first:] {
			out.spans[first+k] = d.trimmed(buf, int(s.start), int(s.end))
		}
	}
}

// separate splits buf[start:end] at commas. It looks at eight bytes at a time.
func (d *dialect) separate(buf []byte, start, end int, out *fields) {
	const low7 = 0x7f7f7f7f7f7f7f7f
	pattern := 0x0101010101010101 * uint64(d.comma)
	spans := out.spans
	i, from := start, start
	for ; i+8 <= end; i += 8 {
		x := binary.LittleEndian.Uint64(buf[i:]) ^ pattern
		for m := ^((x&low7 + low7) | x | low7); m != 0; m &= m - 1 { // a bit for each comma
			at := i + bits.TrailingZeros64(m)>>3
			spans = append(spans, span{uint32(from), uint32(at)})
			from = at + 1
		}
	}
	for ; i < end; i++ {
		if buf[i] == d.comma {
			spans = append(spans, span{uint32(from), uint32(i)})
			from = i + 1
		}
	}
	out.spans = append(spans, span{uint32(from), uint32(end)})
}

// trimmed is the span from start to stop, without white space where asked.
func (d *dialect) trimmed(buf []byte, start, stop int) span {
	if d.trim {
		for start < stop && isBlank(buf[start]) {
			start++
		}
		for stop > start && isBlank(buf[stop-1]) {
			stop--
		}
	}
	return span{uint32(start), uint32(stop)}
}

// skipped reports whether the line that begins at buf[at] is no record: blank,
// or a comment. end is where it ends, or -1 where that is not known yet.
func (d *dialect) skipped(buf []byte, at int, final bool) (end int, skip bool) {
	switch c := buf[at]; {
	case c == '\n':
		return at + 1, true
	case c == '\r' && at+1 < len(buf):
		return at + 2, buf[at+1] == '\n'
	case c == '\r':
		if final {
			return at + 1, true
		}
		return -1, false
	case d.comment != 0 && c == d.comment:
		return d.endOfLine(buf, at, final), true
	}
	return at, false
}

// endOfLine is where the line that holds buf[i] ends, or -1.
func (d *dialect) endOfLine(buf []byte, i int, final bool) int {
	if j := bytes.IndexByte(buf[i:], '\n'); j >= 0 {
		return i + j + 1
	}
	if final {
		return len(buf)
	}
	return -1
}

var crlf = []byte("\r\n")

// appendLines appends text with \r\n as \n.
func appendLines(dst, text []byte) []byte {
	for {
		i := bytes.Index(text, crlf)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), '\n')
		text = text[i+2:]
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r' }
