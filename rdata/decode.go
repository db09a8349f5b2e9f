package rdata

import "slices"

// value reads one item.
func (d *decoder) value() (Value, error) {
	start := d.p
	flags, err := d.word()
	if err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()

	code := flags & 0xff
	switch code {
	case codeNil, uint32(KindNull):
		return Null{}, nil
	case uint32(KindSymbol):
		name, err := d.symbol(start)
		if err != nil {
			return nil, err
		}
		return &Symbol{Name: name}, nil
	case codeReference:
		i, err := d.reference(flags)
		if err != nil {
			return nil, err
		}
		if d.refs[i].code == byte(KindSymbol) {
			return &Symbol{Name: d.refs[i].name}, nil
		}
		return d.opaque(start)
	case uint32(KindPairlist):
		return d.pairlist(start)
	case codeAltrep:
		return d.altrep(start, flags)
	}
	if flags&(levelS4<<levelShift) != 0 {
		return d.opaque(start) // a vector that is S4 at the same time
	}
	switch Kind(code) {
	case KindLogical:
		v := &Logical{}
		if v.Values, err = d.int32s(); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	case KindInteger:
		v := &Integer{}
		if v.Values, err = d.int32s(); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	case KindDouble:
		v := &Double{}
		if v.Values, err = d.float64s(); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	case KindComplex:
		v := &Complex{}
		if v.Values, err = d.complex128s(); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	case KindRaw:
		v := &Raw{}
		if v.Values, err = d.raw(); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	case KindCharacter:
		v := &Character{}
		if err = d.strings(v); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	case KindList, KindExpression:
		v := &List{Expression: Kind(code) == KindExpression}
		if v.Values, err = d.values(); err == nil {
			v.Attrs, err = d.attributes(flags)
		}
		return v, err
	}
	return d.opaque(start)
}

// values reads the payload of a list.
func (d *decoder) values() ([]Value, error) {
	const least = 4 // bytes of an element
	n, err := d.length(least)
	if err != nil || n == 0 {
		return nil, err
	}
	vs := make([]Value, n)
	d.owed += least * n
	for i := range vs {
		d.owed -= least
		if vs[i], err = d.value(); err != nil {
			return nil, err
		}
	}
	return vs, nil
}

// symbol reads a symbol after its flags, which were at start.
func (d *decoder) symbol(start int) (string, error) {
	flags, err := d.word()
	if err != nil {
		return "", err
	}
	if Kind(flags) != KindChar {
		return "", d.errorAt(d.p-4, "a symbol's name is of %v", Kind(flags))
	}
	b, na, err := d.char(flags)
	if err != nil {
		return "", err
	}
	name := string(b)
	if na {
		name = "NA"
	}
	if name == "" {
		return "", d.errorf("a symbol without a name")
	}
	d.refs = append(d.refs, definition{off: start, code: byte(KindSymbol), name: name})
	return name, nil
}

// tag reads an item that must be a symbol. Ok is false, and nothing consumed,
// where it is something else.
func (d *decoder) tag() (name string, ok bool, err error) {
	start := d.p
	flags, err := d.word()
	if err != nil {
		return "", false, err
	}
	switch flags & 0xff {
	case uint32(KindSymbol):
		name, err = d.symbol(start)
		return name, err == nil, err
	case codeReference:
		i, err := d.reference(flags)
		if err != nil {
			return "", false, err
		}
		if d.refs[i].code == byte(KindSymbol) {
			return d.refs[i].name, true, nil
		}
	}
	d.p = start
	return "", false, nil
}

// attributes reads the attributes of an item where its flags say that it has
// some. External pointers among them are left out: they are dead in any other
// process. data.table has one in each table.
func (d *decoder) attributes(flags uint32) (Attributes, error) {
	if flags&flagAttrs == 0 {
		return nil, nil
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	var as Attributes
	for {
		flags, err := d.word()
		if err != nil {
			return nil, err
		}
		if flags&0xff == codeNil {
			return slices.Clip(as), nil
		}
		if Kind(flags) != KindPairlist || flags&flagTag == 0 || flags&flagAttrs != 0 {
			return nil, d.errorAt(d.p-4, "attributes are not a list of names and values")
		}
		name, ok, err := d.tag()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, d.errorf("an attribute's name is not a symbol")
		}
		if d.atPointer() {
			if err := d.skip(); err != nil {
				return nil, err
			}
			continue
		}
		v, err := d.value()
		if err != nil {
			return nil, err
		}
		as = append(as, Attribute{name, v})
	}
}

// atPointer says whether the next item is an external pointer or refers to one.
func (d *decoder) atPointer() bool {
	p := d.p
	defer func() { d.p = p }()
	flags, err := d.word()
	if err == nil && flags&0xff == codeReference {
		if i, err := d.reference(flags); err == nil {
			return Kind(d.refs[i].code) == KindExternalPointer
		}
	}
	return err == nil && Kind(flags) == KindExternalPointer
}

// pairlist reads a pairlist after its flags, which were at start. One of a form
// that a Pairlist cannot hold is Opaque.
func (d *decoder) pairlist(start int) (Value, error) {
	refs := len(d.refs)
	opaque := func() (Value, error) {
		// reading twice what may nest takes from the budget, or it could take for ever
		if err := d.expand(start, int64(d.p-start)); err != nil {
			return nil, err
		}
		d.refs = d.refs[:refs]
		return d.opaque(start)
	}
	d.p = start
	v := &Pairlist{}
	for {
		flags, err := d.word()
		if err != nil {
			return nil, err
		}
		if flags&0xff == codeNil {
			return v, nil
		}
		if Kind(flags) != KindPairlist || flags&flagAttrs != 0 && len(v.Cells) > 0 || flags&(levelS4<<levelShift) != 0 {
			return opaque() // a dotted pair, or attributes within the list
		}
		if flags&flagAttrs != 0 {
			if v.Attrs, err = d.attributes(flags); err != nil {
				return nil, err
			}
		}
		var c Cell
		if flags&flagTag != 0 {
			var ok bool
			if c.Tag, ok, err = d.tag(); err != nil {
				return nil, err
			}
			if !ok {
				return opaque()
			}
		}
		if c.Value, err = d.value(); err != nil {
			return nil, err
		}
		v.Cells = append(v.Cells, c)
	}
}
