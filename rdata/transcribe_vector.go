package rdata

import "encoding/binary"

// vector walks an item that is neither cells nor in the reference table.
func (t *transcriber) vector(start int, flags uint32) error {
	d := t.d
	if Kind(flags) != KindChar {
		t.put(flags)
	}
	var err error
	switch kind := Kind(flags); kind {
	case KindChar:
		return t.char(flags)
	case KindLogical, KindInteger:
		err = t.numbers(4, 4)
	case KindDouble:
		err = t.numbers(8, 8)
	case KindComplex:
		err = t.numbers(16, 8)
	case KindRaw:
		err = t.numbers(1, 1)
	case KindSpecial, KindBuiltin:
		err = t.primitive()
	case KindBytecode:
		err = t.bytecode()
	case KindS4:
	case KindCharacter:
		err = t.strings()
	case KindList, KindExpression:
		var n int
		if n, err = t.length(4); err == nil {
			return t.items(n, flags)
		}
	default:
		return d.errorAt(start, "unknown type %d", kind)
	}
	if err != nil {
		return err
	}
	return t.items(0, flags)
}

func (t *transcriber) length(size int) (int, error) {
	n, err := t.d.length(size)
	if t.e != nil && err == nil {
		t.e.length(n)
	}
	return n, err
}

// numbers walks a vector whose elements take size bytes, in words of wordSize.
func (t *transcriber) numbers(size, wordSize int) error {
	n, err := t.length(size)
	if err != nil {
		return err
	}
	b, err := t.d.take(n*size, "a vector")
	if err != nil || t.e == nil {
		return err
	}
	at := len(t.e.Buf)
	t.e.Bytes(b)
	if t.d.big != t.e.big {
		switch wordSize {
		case 4:
			swap4(t.e.Buf[at:])
		case 8:
			swap8(t.e.Buf[at:])
		}
	}
	return nil
}

func (t *transcriber) strings() error {
	n, err := t.length(8)
	if err != nil {
		return err
	}
	for i := 0; i < n; i++ {
		if i += t.plainStrings(n - i); i == n {
			break
		}
		flags, err := t.d.word()
		if err != nil {
			return err
		}
		if Kind(flags) != KindChar {
			return t.d.errorAt(t.d.p-4, "%selement of type %v in a character vector", ordinal(i), Kind(flags))
		}
		if err := t.char(flags); err != nil {
			return err
		}
	}
	return nil
}

// marks are those of an encoding: a string that has one is copied as it is.
const marks = (levelASCII | levelUTF8 | levelLatin1 | levelBytes) << levelShift

// plainStrings walks the strings at the cursor, at most n, that are copied as they are,
// and copies them at once. It returns how many they were; an error is left to who walks
// the next one by itself.
func (t *transcriber) plainStrings(n int) (passed int) {
	d := t.d
	if d.big || t.e != nil && t.e.big {
		return 0
	}
	b, at := d.b, d.p
	for ; passed < n && len(b)-at >= 8; passed++ {
		flags, size := binary.LittleEndian.Uint32(b[at:]), int(int32(binary.LittleEndian.Uint32(b[at+4:])))
		if Kind(flags) != KindChar || flags&marks == 0 || flags&flagAttrs != 0 || size < 0 || size > len(b)-at-8 {
			break
		}
		at += 8 + size
	}
	if t.e != nil {
		t.e.Bytes(b[d.p:at])
	}
	d.p = at
	return passed
}

// char walks a string after its flags. Marked strings, "bytes" too, stay as they
// are. Strings without a mark become UTF-8, as the target does not say what
// "native" was.
func (t *transcriber) char(flags uint32) error {
	d := t.d
	if t.e != nil && flags&marks == 0 {
		s, na, err := d.char(flags)
		if err != nil {
			return err
		}
		if na {
			t.e.NAStr()
			return nil
		}
		return t.e.Str(s)
	}
	at := d.p
	n, err := d.int()
	if err != nil {
		return err
	}
	if n < -1 {
		return d.errorAt(at, "string of length %d", n)
	}
	b, err := d.take(max(n, 0), "a string")
	if err != nil {
		return err
	}
	if t.e != nil {
		t.e.word(flags &^ flagAttrs)
		t.e.word(uint32(int32(n)))
		t.e.Bytes(b)
	}
	if flags&flagAttrs == 0 {
		return nil
	}
	return t.dry(t.item)
}

// primitive walks a builtin, which is a name.
func (t *transcriber) primitive() error {
	at := t.d.p
	n, err := t.pass()
	if err != nil {
		return err
	}
	if n < 0 {
		return t.d.errorAt(at, "name of length %d", n)
	}
	b, err := t.d.take(n, "the name of a primitive function")
	if err == nil && t.e != nil {
		t.e.Bytes(b)
	}
	return err
}
