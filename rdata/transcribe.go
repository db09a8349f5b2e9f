package rdata

import (
	"slices"
	"strings"
)

// A transcriber walks items without making Values of them. It skips them, or
// copies them to another stream, of which byte order and reference table may
// differ: names are looked up there, other references are numbered anew, and an
// object whose definition lies before the copied part is defined at its first
// use.
type transcriber struct {
	d    *decoder
	e    *Encoder      // nil to skip
	next int           // number, from 0, of the definition that is met next
	to   map[int]int32 // references of the source, but for symbols → of the target

	referred bool // a reference was met
}

func (d *decoder) transcriber(e *Encoder) *transcriber {
	return &transcriber{d: d, e: e, next: len(d.refs), to: map[int]int32{}}
}

// skip passes over one item.
func (d *decoder) skip() error {
	t := transcriber{d: d, next: len(d.refs)}
	return t.item()
}

// put writes a word where there is a target.
func (t *transcriber) put(w uint32) {
	if t.e != nil {
		t.e.word(w)
	}
}

// pass copies one word that does not depend on the reference table.
func (t *transcriber) pass() (int, error) {
	w, err := t.d.word()
	if err != nil {
		return 0, err
	}
	t.put(w)
	return int(int32(w)), nil
}

// define enters the item at off, whose name is that of a symbol, in the
// source's table, unless it is there since an earlier walk over it.
func (t *transcriber) define(off int, code byte, name string) (index int) {
	index = t.next
	t.next++
	if index == len(t.d.refs) {
		t.d.refs = append(t.d.refs, definition{off, code, name})
	}
	return index
}

// item walks one item. Lists of cells are walked in a loop, so that depth is
// that of nesting and not of length.
func (t *transcriber) item() error {
	if err := t.d.enter(); err != nil {
		return err
	}
	defer t.d.leave()
	for {
		more, err := t.cell()
		if err != nil || !more {
			return err
		}
	}
}

// cell walks one item, or only the first cell of a list of them: more is true
// then, and the rest of the list is the next item.
func (t *transcriber) cell() (more bool, err error) {
	d := t.d
	start := d.p
	flags, err := d.word()
	if err != nil {
		return false, err
	}
	switch code := flags & 0xff; code {
	case codeNil, codeGlobalEnv, codeUnboundValue, codeMissingArg, codeBaseNamespace, codeEmptyEnv, codeBaseEnv, uint32(KindNull):
		t.put(flags)
		return false, nil
	case codeReference:
		return false, t.reference(flags)
	case uint32(KindSymbol):
		return false, t.symbol(start)
	case codeNamespace, codePackage:
		return false, t.defined(start, flags, t.named)
	case codePersistent:
		return false, d.errorAt(start, "persistent names (refhook of serialize()) are not supported")
	case codeAltrep:
		t.put(flags)
		return false, t.altrep()
	}
	switch kind := Kind(flags); kind {
	case KindEnvironment:
		return false, t.defined(start, flags, t.environment)
	case KindExternalPointer:
		return false, t.defined(start, flags, func() error { return t.items(2, flags) })
	case KindWeakReference:
		return false, t.defined(start, flags, func() error { return t.items(0, flags) })
	case KindPairlist, KindLanguage, KindClosure, KindPromise, KindDots:
		t.put(flags)
		n := 1 // the car; the cdr is the next item
		if flags&flagAttrs != 0 {
			n++
		}
		if flags&flagTag != 0 {
			n++
		}
		for range n {
			if err := t.item(); err != nil {
				return false, err
			}
		}
		return true, nil
	default:
		return false, t.vector(start, flags)
	}
}

// items walks n items, and then the attributes where flags say that there are.
func (t *transcriber) items(n int, flags uint32) error {
	if flags&flagAttrs != 0 {
		n++
	}
	for range n {
		if err := t.item(); err != nil {
			return err
		}
	}
	return nil
}

// dry walks without writing.
func (t *transcriber) dry(walk func() error) error {
	e := t.e
	t.e = nil
	err := walk()
	t.e = e
	return err
}

// named walks what makes up a namespace or a package's environment: strings.
func (t *transcriber) named() error {
	at := t.d.p
	if zero, err := t.pass(); err != nil {
		return err
	} else if zero != 0 {
		return t.d.errorAt(at, "names in persistent strings are not supported")
	}
	n, err := t.pass()
	if err != nil {
		return err
	}
	if n < 0 {
		return t.d.errorAt(at, "%d persistent strings", n)
	}
	for range n {
		if err := t.item(); err != nil {
			return err
		}
	}
	return nil
}

// altrep walks class, state and attributes. A memory-mapped vector would make R
// open a file of the sender's choice.
func (t *transcriber) altrep() error {
	d := t.d
	p, refs, depth := d.p, len(d.refs), d.depth
	if t.next == refs { // on a first walk; a later one is over what passed
		class, err := d.altrepClass()
		if err != nil {
			return err
		}
		if class.pkg == "base" && strings.HasPrefix(class.name, "mmap") {
			return d.errMapped()
		}
		d.p, d.refs, d.depth = p, d.refs[:refs], depth
	}
	return t.items(3, 0)
}

// environment walks locked, enclosing environment, frame, hash table, attributes.
func (t *transcriber) environment() error {
	if _, err := t.pass(); err != nil {
		return err
	}
	return t.items(4, 0)
}

// symbol walks a symbol after its flags.
func (t *transcriber) symbol(start int) error {
	d := t.d
	known := t.next < len(d.refs)
	name, err := d.symbol(start) // enters it in the table
	if err != nil {
		return err
	}
	if known {
		d.refs = d.refs[:len(d.refs)-1]
	}
	t.next++
	if t.e == nil {
		return nil
	}
	return t.e.symbol(name)
}

// defined walks an object, after its flags, of which later ones may be
// references. One that the target has already, because it was referred to from
// before its own place, becomes a reference.
func (t *transcriber) defined(start int, flags uint32, content func() error) error {
	index := t.define(start, byte(flags), "")
	if t.e == nil {
		return content()
	}
	if ref, ok := t.to[index]; ok {
		t.e.reference(ref)
		return t.dry(content)
	}
	t.to[index] = t.e.define()
	t.e.word(flags)
	return content()
}

// reference walks a reference, whose flags have been read.
func (t *transcriber) reference(flags uint32) error {
	d := t.d
	at := d.p - 4
	i, err := d.reference(flags)
	t.referred = true
	if err != nil || t.e == nil {
		return err
	}
	def := d.refs[i]
	size := len(t.e.Buf)
	if def.code == byte(KindSymbol) {
		if err := t.e.symbol(def.name); err != nil {
			return err
		}
		return d.expand(at, int64(len(t.e.Buf)-size))
	}
	if ref, ok := t.to[i]; ok {
		t.e.reference(ref)
		return nil
	}
	// it was defined before the copied part: copy the definition to here
	p, next := d.p, t.next
	d.p, t.next = def.off, i
	if err := t.item(); err != nil {
		return err
	}
	if err := d.expand(at, int64(len(t.e.Buf)-size)); err != nil {
		return err
	}
	d.p, t.next = p, next
	return nil
}

// extract copies the item at the cursor to one that stands alone.
func (d *decoder) extract() ([]byte, error) {
	var e Encoder
	if err := d.transcriber(&e).item(); err != nil {
		return nil, err
	}
	return slices.Clip(e.Buf), nil
}
