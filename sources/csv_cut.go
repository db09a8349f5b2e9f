package sources

import "bytes"

// csvCutter cuts CSV. A line without a quote is a record as it stands.
type csvCutter struct {
	*dialect
	quoteAt int  // the first quote after the records cut so far, or up to where there is none
	known   bool // it is a quote
}

func (c *csvCutter) reset() { c.quoteAt, c.known = 0, false }

func (c *csvCutter) cut(buf []byte, at int, final bool) (r record, end int, found bool) {
	if end, skip := c.skipped(buf, at, final); skip || end < 0 {
		return record{}, end, false
	}
	end = c.endOfLine(buf, at, final)
	if end < 0 {
		return record{}, -1, false
	}
	r = record{start: uint32(at), end: uint32(end)}
	if c.quote == 0 || c.nextQuote(buf, at) >= end {
		return r, end, true
	}
	end = c.hopEnd(buf, at, end, final)
	r.end, r.quoted = uint32(max(end, 0)), true
	return r, end, true
}

// hopEnd is where the record at buf[at] ends, whose first line ends at line.
// It hops from quote to quote, as dialect.hop does.
func (c *csvCutter) hopEnd(buf []byte, at, line int, final bool) int {
	for i := at; !c.trim; {
		q := bytes.IndexByte(buf[i:line], c.quote)
		if q < 0 {
			return line
		}
		q += i
		if q > i && buf[q-1] != c.comma {
			break
		}
		end, next, f := c.quoted(buf, q, 0, final, nil)
		if f != nil {
			break
		}
		if end < 0 || !next {
			return end
		}
		if i = end; i >= line {
			if line = c.endOfLine(buf, i, final); line < 0 {
				return -1
			}
		}
	}
	end, _ := c.walk(buf, at, final, nil)
	return end
}

// nextQuote is where the first quote at or after at is, or len(buf).
func (c *csvCutter) nextQuote(buf []byte, at int) int {
	if c.known && c.quoteAt >= at {
		return c.quoteAt
	}
	from := max(at, c.quoteAt)
	c.quoteAt, c.known = len(buf), false
	if i := bytes.IndexByte(buf[from:], c.quote); i >= 0 {
		c.quoteAt, c.known = from+i, true
	}
	return c.quoteAt
}
