package rdata

import "fmt"

// HeaderSize is the length of the header that an item lacks.
const HeaderSize = 14

// AppendHeader appends the header that makes an item a stream for R's
// unserialize(): little-endian, version 2.
func AppendHeader(dst []byte) []byte {
	e := Encoder{Buf: dst}
	_ = e.header(Format{}) // fails for an unknown version only
	return e.Buf
}

// AppendItem appends v as an item: little-endian, without a header, and with a
// reference table of its own.
func AppendItem(dst []byte, v Value) ([]byte, error) {
	e := Encoder{Buf: dst}
	if err := e.Value(v); err != nil {
		return dst, fmt.Errorf("rdata: write: %w", err)
	}
	return e.Buf, nil
}

// UnmarshalItem reads the one item that b is.
func UnmarshalItem(b []byte, lim *Limits) (Value, error) {
	d, err := newDecoder(b, lim)
	if err != nil {
		return nil, err
	}
	return d.whole()
}

// ItemSize is the length of the item at the start of b, which is passed over
// and not decoded: its strings may be other than UTF-8.
func ItemSize(b []byte, lim *Limits) (int, error) {
	d, err := newDecoder(b, lim)
	if err != nil {
		return 0, err
	}
	if err := d.skip(); err != nil {
		return 0, err
	}
	return d.p, nil
}

// SplitList cuts an item that is a list into the items of its elements. An
// element that holds no reference, to itself or to an element before it, is
// part of item's own memory; others are copied. Attributes of the list, such as
// its names, are left out.
func SplitList(item []byte, lim *Limits) ([][]byte, error) {
	d, err := newDecoder(item, lim)
	if err != nil {
		return nil, err
	}
	flags, err := d.word()
	if err != nil {
		return nil, err
	}
	if k := Kind(flags); k != KindList && k != KindExpression {
		return nil, d.errorAt(0, "a list was expected, not %v", k)
	}
	n, err := d.length(4)
	if err != nil {
		return nil, err
	}
	items := make([][]byte, n)
	for i := range items {
		if items[i], err = d.slice(); err != nil {
			return nil, err
		}
	}
	if flags&flagAttrs != 0 {
		err = d.skip()
	}
	if err == nil && d.left() > 0 {
		err = d.errorf("%d bytes after the end of the list", d.left())
	}
	return items, err
}

// slice is the item at the cursor, cut out if it can stand alone, else copied.
func (d *decoder) slice() ([]byte, error) {
	start, refs := d.p, len(d.refs)
	t := transcriber{d: d, next: refs}
	if err := t.item(); err != nil {
		return nil, err
	}
	if refs == 0 || !t.referred {
		return d.b[start:d.p:d.p], nil
	}
	d.p, d.refs = start, d.refs[:refs]
	return d.extract()
}
