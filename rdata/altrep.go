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
	v, err := d.altrepState(class)
	if err != nil {
		return nil, err
	}
	if v == nil || flags&(levelS4<<levelShift) != 0 {
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

type altrepClass struct{ name, pkg string }

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

// altrepClass reads list(class, package, type).
func (d *decoder) altrepClass() (altrepClass, error) {
	start := d.p
	info, err := d.value()
	if err != nil {
		return altrepClass{}, err
	}
	if l, ok := info.(*Pairlist); ok && len(l.Cells) == 3 {
		name, ok1 := l.Cells[0].Value.(*Symbol)
		pkg, ok2 := l.Cells[1].Value.(*Symbol)
		if ok1 && ok2 {
			return altrepClass{name.Name, pkg.Name}, nil
		}
	}
	return altrepClass{}, d.errorAt(start, "class of an ALTREP object is not list(class, package, type)")
}

// altrepKind reads the class at the cursor for the type of vector it makes.
func (d *decoder) altrepKind() (Kind, error) {
	info, err := d.value()
	if err != nil {
		return 0, err
	}
	if l, ok := info.(*Pairlist); ok && len(l.Cells) == 3 {
		if t, ok := l.Cells[2].Value.(*Integer); ok && len(t.Values) == 1 {
			return Kind(t.Values[0]), nil
		}
	}
	return KindAny, nil
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
