package sinks

import (
	"bytes"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// csvStyle is how fields are written.
type csvStyle struct {
	delimiter byte
	quote     string // needed, strings, all, none
	na        string
	decimal   byte
	end       string
}

// csvEncoder writes one file of delimited text.
type csvEncoder struct {
	*textWriter
	style csvStyle
	rows  int64
}

func (e *csvEncoder) encode(frames []frame.Frame) error {
	for _, f := range frames {
		kinds := make([]frame.Kind, f.NumCols())
		for k, field := range f.Schema().Fields() {
			if kinds[k] = frame.KindOf(field); kinds[k] == frame.KindOther {
				return noText(field)
			}
		}
		for i := range int(f.NumRows()) {
			for k, a := range f.Columns() {
				if k > 0 {
					e.buf = append(e.buf, e.style.delimiter)
				}
				var err error
				if e.buf, err = e.style.appendField(e.buf, a, kinds[k], i); err != nil {
					return fmt.Errorf("column %q, row %d of the file: %w", f.Schema().Field(k).Name, e.rows+1, err)
				}
			}
			e.buf = append(e.buf, e.style.end...)
			e.rows++
			if err := e.flushOver(textBuffer); err != nil {
				return err
			}
		}
	}
	return nil
}

// noText is the error of a column whose type is not one of frame's kinds.
func noText(f arrow.Field) error {
	return fmt.Errorf("column %q has type %s, which has no form in text: convert or drop it in a stage before", f.Name, frame.TypeName(f))
}

func (s *csvStyle) appendHeader(dst []byte, schema *frame.Schema) ([]byte, error) {
	for i, f := range schema.Fields() {
		if i > 0 {
			dst = append(dst, s.delimiter)
		}
		var err error
		at := len(dst)
		if dst, err = s.quoteText(append(dst, f.Name...), at); err != nil {
			return dst, fmt.Errorf("name of column %q: %w", f.Name, err)
		}
	}
	return append(dst, s.end...), nil
}

func (s *csvStyle) appendField(dst []byte, a arrow.Array, kind frame.Kind, i int) ([]byte, error) {
	if a.IsNull(i) {
		return append(dst, s.na...), nil
	}
	at := len(dst)
	dst = frame.AppendText(dst, a, i, frame.TextOptions{})
	switch kind {
	case frame.KindString, frame.KindFactor, frame.KindJSON, frame.KindList, frame.KindBinary:
		return s.quoteText(dst, at)
	case frame.KindDouble, frame.KindDifftime:
		if s.decimal != '.' {
			if dot := bytes.IndexByte(dst[at:], '.'); dot >= 0 {
				dst[at+dot] = s.decimal
			}
		}
	}
	if s.quote == "all" {
		return quoteCSV(dst, at), nil
	}
	return dst, nil
}

// quoteText quotes the text dst[at:] where the style asks for it.
func (s *csvStyle) quoteText(dst []byte, at int) ([]byte, error) {
	switch s.quote {
	case "all", "strings":
		return quoteCSV(dst, at), nil
	}
	need := string(dst[at:]) == s.na
	for _, b := range dst[at:] {
		if b == s.delimiter || b == '"' || b == '\n' || b == '\r' {
			need = true
			break
		}
	}
	// Readers strip spaces at the ends of bare fields.
	if n := len(dst); !need && n > at && (dst[at] == ' ' || dst[n-1] == ' ' || dst[at] == '\t' || dst[n-1] == '\t') {
		need = true
	}
	if !need {
		return dst, nil
	}
	if s.quote == "none" {
		if len(dst) == at {
			return dst, nil // an empty string reads as a missing value: that is asked for
		}
		return dst, fmt.Errorf("value %.40q needs quotes, and quote is none: use quote: needed, or another delimiter or na", dst[at:])
	}
	return quoteCSV(dst, at), nil
}

// quoteCSV puts dst[at:] in quotes and doubles those within.
func quoteCSV(dst []byte, at int) []byte {
	inner := bytes.Count(dst[at:], []byte{'"'})
	n := len(dst)
	for range inner + 2 {
		dst = append(dst, 0)
	}
	to := len(dst) - 1
	dst[to] = '"'
	for from := n - 1; from >= at; from-- {
		to--
		dst[to] = dst[from]
		if dst[from] == '"' {
			to--
			dst[to] = '"'
		}
	}
	dst[at] = '"'
	return dst
}
