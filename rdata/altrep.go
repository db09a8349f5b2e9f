package rdata

import "math"

// altrep reads the serialized form of an alternative representation, which R
// 3.5 and newer write in version 3 streams: class, state and attributes. Those
// of R itself are turned into plain vectors; those of packages are Opaque.
func (d *decoder) altrep(start int, flags uint32) (Value, error) {
	refs := len(d.refs)
	class, err := d.altrepClass()
	if err != nil {
		return nil, err
	}
	var v Value
	if flags&(levelS4<<levelShift) == 0 { // else it is not read twice: it may nest
		if v, err = d.altrepState(class); err != nil {
			return nil, err
		}
	}
	if v == nil {
		d.refs = d.refs[:refs]
		return d.opaque(start)
	}
	at := d.p
	attrs, err := d.altrepAttributes()
	if err != nil {
		return nil, err
	}
	if !setAttributes(v, attrs) {
		return nil, d.errorAt(at, "%s of type %v", class.name, KindOf(v))
	}
	return v, nil
}

type altrepClass struct {
	name, pkg string
	kind      Kind // of the vector it makes
}

// altrepState reads the state of a class of R itself; it is nil for another.
func (d *decoder) altrepState(class altrepClass) (Value, error) {
	if class.pkg != "base" {
		return nil, nil
	}
	switch class.name {
	case "compact_intseq":
		return d.compactIntegers()
	case "compact_realseq":
		return d.compactDoubles()
	case "deferred_string":
		return d.deferredString()
	case "wrap_logical", "wrap_integer", "wrap_real", "wrap_complex", "wrap_raw", "wrap_string", "wrap_list":
		return d.wrapped()
	case "mmap_integer", "mmap_real":
		return nil, d.errMapped()
	}
	return nil, nil
}

// altrepClass reads list(class, package, type): two symbols and an integer. Any
// other value could hold more objects of this sort, each of which is read twice.
func (d *decoder) altrepClass() (altrepClass, error) {
	start := d.p
	var c altrepClass
	for _, s := range []*string{&c.name, &c.pkg} {
		ok, err := d.plainCell()
		if err == nil && ok {
			*s, ok, err = d.tag()
		}
		if err != nil {
			return c, err
		}
		if !ok {
			return c, d.errAltrepClass(start)
		}
	}
	ok, err := d.plainCell()
	if err != nil {
		return c, err
	}
	var w [4]uint32 // an integer vector of length 1, and the list's end
	for i := range w {
		if ok {
			if w[i], err = d.word(); err != nil {
				return c, err
			}
		}
	}
	if !ok || Kind(w[0]) != KindInteger || w[0]&flagAttrs != 0 || w[1] != 1 || w[3]&0xff != codeNil {
		return c, d.errAltrepClass(start)
	}
	c.kind = Kind(w[2])
	return c, nil
}

// plainCell reads the flags of a cell of a list without tag and attributes; ok
// is false for anything else.
func (d *decoder) plainCell() (ok bool, err error) {
	flags, err := d.word()
	return Kind(flags) == KindPairlist && flags&(flagAttrs|flagTag) == 0, err
}

func (d *decoder) errAltrepClass(at int) error {
	return d.errorAt(at, "class of an ALTREP object is not list(class, package, type)")
}

// altrepAttributes reads attributes that stand as an item of their own.
func (d *decoder) altrepAttributes() (Attributes, error) {
	at := d.p
	flags, err := d.word()
	if err != nil {
		return nil, err
	}
	d.p = at
	if k := Kind(flags); k != KindPairlist && flags&0xff != codeNil {
		return nil, d.errorAt(at, "attributes of an ALTREP object are of type %v", k)
	}
	return d.attributes(flagAttrs)
}

// sequence reads the state c(n, first, increment) of a compact sequence.
func (d *decoder) sequence(size int64) (n int, first, inc float64, err error) {
	at := d.p
	v, err := d.value()
	if err != nil {
		return 0, 0, 0, err
	}
	s, ok := v.(*Double)
	if !ok || len(s.Values) != 3 {
		return 0, 0, 0, d.errorAt(at, "state of a compact sequence is not three numbers")
	}
	length, first, inc := s.Values[0], s.Values[1], s.Values[2]
	if !(length >= 0 && length <= math.MaxInt64/16) || length != math.Trunc(length) || inc != 1 && inc != -1 {
		return 0, 0, 0, d.errorAt(at, "compact sequence of length %v by %v", length, inc)
	}
	if length > float64(d.lim.MaxLength) {
		return 0, 0, 0, d.errorAt(at, "vector of length %v is over the limit of %d", length, d.lim.MaxLength)
	}
	return int(length), first, inc, d.expand(at, size*int64(length))
}

func (d *decoder) compactIntegers() (Value, error) {
	at := d.p
	n, first, inc, err := d.sequence(4)
	if err != nil {
		return nil, err
	}
	last := first + inc*float64(max(n-1, 0))
	if first != math.Trunc(first) || math.Abs(first) > math.MaxInt32 || math.Abs(last) > math.MaxInt32 {
		return nil, d.errorAt(at, "compact sequence of integers from %v to %v", first, last)
	}
	v := &Integer{Values: make([]int32, n)}
	for i := range v.Values {
		v.Values[i] = int32(first) + int32(i)*int32(inc)
	}
	return v, nil
}

func (d *decoder) compactDoubles() (Value, error) {
	n, first, inc, err := d.sequence(8)
	if err != nil {
		return nil, err
	}
	v := &Double{Values: make([]float64, n)}
	for i := range v.Values {
		v.Values[i] = first + float64(i)*inc
	}
	return v, nil
}

// dotted reads a state that is one cell whose cdr is an item, not a list.
func (d *decoder) dotted() (car, cdr Value, err error) {
	at := d.p
	flags, err := d.word()
	if err != nil {
		return nil, nil, err
	}
	if Kind(flags) != KindPairlist || flags&(flagAttrs|flagTag) != 0 {
		return nil, nil, d.errorAt(at, "state of an ALTREP object is not a pair")
	}
	if car, err = d.value(); err == nil {
		cdr, err = d.value()
	}
	return car, cdr, err
}

// wrapped reads a vector that R wrapped to note that it is sorted or free of NA.
func (d *decoder) wrapped() (Value, error) {
	v, _, err := d.dotted()
	return v, err
}

func (d *decoder) errMapped() error {
	return d.errorf("a memory-mapped vector refers to a file and is refused")
}

// deferredString reads numbers that R has yet to convert by as.character(),
// and options(scipen) of that time.
func (d *decoder) deferredString() (Value, error) {
	at := d.p
	numbers, option, err := d.dotted()
	if err != nil {
		return nil, err
	}
	scipen := 0
	if s, ok := option.(*Integer); ok && len(s.Values) == 1 && s.Values[0] != NAInteger {
		scipen = int(s.Values[0])
	}
	c := &Character{}
	var b []byte
	switch v := numbers.(type) {
	case *Integer:
		if err := d.expand(at, 16*int64(len(v.Values))); err != nil {
			return nil, err
		}
		for _, x := range v.Values {
			if x == NAInteger {
				c.AppendNA()
				continue
			}
			b = appendInteger(b[:0], x)
			c.Append(string(b))
		}
	case *Double:
		for _, x := range v.Values {
			if IsNA(x) {
				c.AppendNA()
				continue
			}
			b = appendDouble(b[:0], x, scipen)
			if err := d.expand(at, int64(len(b)+8)); err != nil {
				return nil, err
			}
			c.Append(string(b))
		}
	default:
		return nil, d.errorAt(at, "as.character() of type %v", KindOf(numbers))
	}
	return c, nil
}

// setAttributes replaces the attributes of a vector; it is false for anything else.
func setAttributes(v Value, as Attributes) bool {
	switch v := v.(type) {
	case *Logical:
		v.Attrs = as
	case *Integer:
		v.Attrs = as
	case *Double:
		v.Attrs = as
	case *Complex:
		v.Attrs = as
	case *Character:
		v.Attrs = as
	case *Raw:
		v.Attrs = as
	case *List:
		v.Attrs = as
	default:
		return false
	}
	return true
}
