package rdata

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unsafe"
)

// Value appends any Value as one item. After an error Buf holds half of it.
func (e *Encoder) Value(v Value) error {
	switch v := v.(type) {
	case nil, Null:
		e.Null()
	case *Logical:
		e.head(KindLogical, len(v.Values), v.Attrs)
		e.Int32s(v.Values)
		return e.attributes(v.Attrs)
	case *Integer:
		e.head(KindInteger, len(v.Values), v.Attrs)
		e.Int32s(v.Values)
		return e.attributes(v.Attrs)
	case *Double:
		e.head(KindDouble, len(v.Values), v.Attrs)
		e.Float64s(v.Values)
		return e.attributes(v.Attrs)
	case *Complex:
		e.head(KindComplex, len(v.Values), v.Attrs)
		e.Float64s(unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(v.Values))), 2*len(v.Values)))
		return e.attributes(v.Attrs)
	case *Raw:
		e.head(KindRaw, len(v.Values), v.Attrs)
		e.Bytes(v.Values)
		return e.attributes(v.Attrs)
	case *Character:
		e.head(KindCharacter, v.Len(), v.Attrs)
		if err := v.check(); err != nil {
			return err
		}
		if i, err := appendStrings(e, v.Offsets, v.Data, missingBits(v.Missing)); err != nil {
			return fmt.Errorf("%s%w", ordinal(i), err)
		}
		return e.attributes(v.Attrs)
	case *List:
		return e.list(v)
	case *Pairlist:
		return e.pairlist(v)
	case *Symbol:
		if err := e.symbol(v.Name); err != nil {
			return fmt.Errorf("symbol: %w", err)
		}
	case *Opaque:
		return e.splice(v)
	default:
		return fmt.Errorf("%T is not a value of this package", v)
	}
	return nil
}

func (e *Encoder) head(kind Kind, n int, as Attributes) {
	e.VectorHead(kind, n, as.Get("class") != nil, len(as) > 0)
}

func (e *Encoder) list(v *List) error {
	kind := KindList
	if v.Expression {
		kind = KindExpression
	}
	e.head(kind, len(v.Values), v.Attrs)
	for i, x := range v.Values {
		if err := e.Value(x); err != nil {
			return fmt.Errorf("%s%w", element(v, i), err)
		}
	}
	return e.attributes(v.Attrs)
}

func (e *Encoder) pairlist(v *Pairlist) error {
	if len(v.Cells) == 0 {
		e.Null()
		return nil
	}
	for i, c := range v.Cells {
		flags := uint32(KindPairlist)
		if c.Tag != "" {
			flags |= flagTag
		}
		if i == 0 && len(v.Attrs) > 0 {
			flags |= flagAttrs
			if v.Attrs.Get("class") != nil {
				flags |= flagObject
			}
		}
		e.word(flags)
		if flags&flagAttrs != 0 {
			if err := e.attributes(v.Attrs); err != nil {
				return err
			}
		}
		if c.Tag != "" {
			if err := e.symbol(c.Tag); err != nil {
				return fmt.Errorf("tag %d: %w", i+1, err)
			}
		}
		if err := e.Value(c.Value); err != nil {
			return fmt.Errorf("%s%w", ordinal(i), err)
		}
	}
	e.Null()
	return nil
}

func (e *Encoder) attributes(as Attributes) error {
	if len(as) == 0 {
		return nil
	}
	for _, a := range as {
		e.word(uint32(KindPairlist) | flagTag)
		if a.Name == "" {
			return errors.New("an attribute without a name")
		}
		if err := e.symbol(a.Name); err != nil {
			return fmt.Errorf("name of an attribute: %w", err)
		}
		if err := e.Value(a.Value); err != nil {
			return fmt.Errorf("attribute %q: %w", a.Name, err)
		}
	}
	e.EndAttrs()
	return nil
}

// element names element i of a list for an error, by its name where it has one.
func element(v *List, i int) string {
	if names, ok := v.Attrs.Get("names").(*Character); ok && names.check() == nil && i < names.Len() {
		if s, ok := names.At(i); ok && s != "" {
			return fmt.Sprintf("element %q: ", s)
		}
	}
	return ordinal(i)
}

// ordinal names an element for an error, counting from 1 as R does.
func ordinal(i int) string { return "element " + strconv.Itoa(i+1) + ": " }

// check says whether offsets and data fit together.
func (c *Character) check() error {
	if len(c.Offsets) == 0 {
		return nil
	}
	last := c.Offsets[0]
	if last < 0 {
		return errors.New("character vector whose offsets begin below 0")
	}
	for i, o := range c.Offsets[1:] {
		if o < last || o-last > math.MaxInt32 || o > int64(len(c.Data)) {
			return fmt.Errorf("%soffsets %d to %d of %d bytes", ordinal(i), last, o, len(c.Data))
		}
		last = o
	}
	return nil
}
