package rdata

import "fmt"

// opaque reads the item that begins at start, whatever it is, as an Opaque.
func (d *decoder) opaque(start int) (Value, error) {
	d.p = start
	item, err := d.extract()
	if err != nil {
		return nil, err
	}
	o := &Opaque{Item: item}
	if o.Kind, o.Attrs, err = describe(item, d.lim); err != nil {
		return nil, d.errorAt(start, "%v", err)
	}
	return o, nil
}

// describe finds the kind and the atomic attributes of an item that stands alone.
func describe(item []byte, lim Limits) (Kind, Attributes, error) {
	d := &decoder{b: item, lim: lim}
	t := d.transcriber(nil)
	flags, err := d.word()
	if err != nil {
		return 0, nil, err
	}
	before := 0 // items before the attributes
	switch flags & 0xff {
	case codeGlobalEnv, codeBaseEnv, codeEmptyEnv, codeBaseNamespace, codeNamespace, codePackage:
		return KindEnvironment, nil, nil
	case codeMissingArg, codeUnboundValue:
		return KindSymbol, nil, nil
	case codeAltrep:
		class, err := d.altrepClass()
		return class.kind, nil, err
	}
	kind := Kind(flags)
	switch kind {
	case KindPairlist, KindLanguage, KindClosure, KindPromise, KindDots, KindS4:
	case KindEnvironment:
		t.define(0, byte(flags), "")
		if _, err := t.pass(); err != nil {
			return 0, nil, err
		}
		before = 3
		flags |= flagAttrs
	case KindExternalPointer, KindWeakReference:
		t.define(0, byte(flags), "")
		if kind == KindExternalPointer {
			before = 2
		}
	default:
		if err := t.vector(0, flags&^flagAttrs); err != nil {
			return 0, nil, err
		}
	}
	if flags&flagAttrs == 0 {
		return kind, nil, nil
	}
	for range before {
		if err := t.item(); err != nil {
			return 0, nil, err
		}
	}
	as, err := d.atomicAttributes()
	return kind, as, err
}

// atomicAttributes reads the attributes at the cursor that are atomic vectors,
// and passes over the others.
func (d *decoder) atomicAttributes() (Attributes, error) {
	var as Attributes
	for {
		flags, err := d.word()
		if err != nil || Kind(flags) != KindPairlist || flags&flagTag == 0 || flags&flagAttrs != 0 {
			return as, err
		}
		name, ok, err := d.tag()
		if err != nil || !ok {
			return as, err
		}
		start := d.p
		if flags, err = d.word(); err != nil {
			return as, err
		}
		d.p = start
		switch Kind(flags) {
		case KindLogical, KindInteger, KindDouble, KindComplex, KindCharacter, KindRaw:
			if flags&(flagAttrs|levelS4<<levelShift) != 0 {
				break
			}
			v, err := d.value()
			if err != nil {
				return as, err
			}
			as = append(as, Attribute{name, v})
			continue
		}
		if err := d.skip(); err != nil {
			return as, err
		}
	}
}

// splice writes the item of an Opaque into e.
func (e *Encoder) splice(o *Opaque) error {
	d := &decoder{b: o.Item, lim: (*Limits)(nil).orDefaults()}
	d.budget = d.lim.MaxExpand
	if err := d.transcriber(e).item(); err != nil {
		return fmt.Errorf("opaque %v: %w", o.Kind, err)
	}
	if d.left() > 0 {
		return fmt.Errorf("opaque %v: %d bytes after its end", o.Kind, d.left())
	}
	return nil
}
