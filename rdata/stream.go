package rdata

import "fmt"

// Stream appends the object of a whole stream as an item, without decoding it. After
// an error Buf holds half of it.
func (e *Encoder) Stream(b []byte, lim *Limits) error {
	d, err := newDecoder(b, lim)
	if err != nil {
		return err
	}
	if err := d.header(); err != nil {
		return err
	}
	if err := d.transcriber(e).item(); err != nil {
		return err
	}
	return d.atEnd()
}

// StreamKind is the kind of the object in a whole stream.
func StreamKind(b []byte) (Kind, error) {
	d, err := newDecoder(b, nil)
	if err != nil {
		return 0, err
	}
	if err := d.header(); err != nil {
		return 0, err
	}
	kind, _, err := d.peek()
	return kind, err
}

// peek is the kind of the item at the cursor, which stays, and its flags.
func (d *decoder) peek() (kind Kind, flags uint32, err error) {
	start := d.p
	defer func() { d.p = start }()
	if flags, err = d.word(); err != nil {
		return 0, 0, err
	}
	switch flags & 0xff {
	case codeNil:
		return KindNull, flags, nil
	case codeGlobalEnv, codeBaseEnv, codeEmptyEnv, codeBaseNamespace, codeNamespace, codePackage:
		return KindEnvironment, flags, nil
	case codeMissingArg, codeUnboundValue:
		return KindSymbol, flags, nil
	case codeAltrep:
		class, err := d.altrepClass()
		d.refs = d.refs[:0]
		return class.kind, flags, err
	}
	return Kind(flags), flags, nil
}

// SplitStream cuts a whole stream that is a list, or an expression vector, into whole
// streams of its elements, native and of version 2, and its attributes. Elements are not
// decoded. They lie in one piece of memory.
func SplitStream(b []byte, lim *Limits) (elements [][]byte, attrs Attributes, err error) {
	d, err := newDecoder(b, lim)
	if err != nil {
		return nil, nil, err
	}
	if err := d.header(); err != nil {
		return nil, nil, err
	}
	kind, flags, err := d.peek()
	if err != nil {
		return nil, nil, err
	}
	if kind != KindList && kind != KindExpression {
		return nil, nil, d.errorf("a list was expected, not %v", kind)
	}
	if flags&0xff == codeAltrep {
		return d.splitValue()
	}
	d.p += 4
	n, err := d.length(4)
	if err != nil {
		return nil, nil, err
	}
	e := Encoder{Buf: make([]byte, 0, d.left()+n*HeaderSize)}
	t := d.transcriber(&e)
	ends := make([]int, n)
	for i := range ends {
		_ = e.header(Format{}) // fails for an unknown version only
		if err := t.item(); err != nil {
			return nil, nil, err
		}
		ends[i] = len(e.Buf)
		// the next one stands alone
		e.refs = 0
		clear(e.symbols)
		clear(t.to)
	}
	if attrs, err = d.attributes(flags); err != nil {
		return nil, nil, err
	}
	if err := d.atEnd(); err != nil {
		return nil, nil, err
	}
	elements = make([][]byte, n)
	start := 0
	for i, end := range ends {
		elements[i] = e.Buf[start:end:end]
		start = end
	}
	return elements, attrs, nil
}

// splitValue is SplitStream of a list that is wrapped.
func (d *decoder) splitValue() (elements [][]byte, attrs Attributes, err error) {
	v, err := d.whole()
	if err != nil {
		return nil, nil, err
	}
	list, ok := v.(*List)
	if !ok {
		return nil, nil, fmt.Errorf("rdata: a list was expected, not %v", KindOf(v))
	}
	for _, x := range list.Values {
		b, err := Append(nil, x, Format{})
		if err != nil {
			return nil, nil, err
		}
		elements = append(elements, b)
	}
	return elements, list.Attrs, nil
}

func (d *decoder) atEnd() error {
	if d.left() > 0 {
		return d.errorf("%d bytes after the end of the object", d.left())
	}
	return nil
}
