package rdata

// bytecode walks compiled code: the number of expressions that occur several
// times in its constants, then the code.
func (t *transcriber) bytecode() error {
	at := t.d.p
	n, err := t.pass()
	if err != nil {
		return err
	}
	if n < 0 {
		return t.d.errorAt(at, "bytecode with %d shared expressions", n)
	}
	return t.code()
}

// code walks instructions, an integer vector, and the table of constants.
func (t *transcriber) code() error {
	if err := t.d.enter(); err != nil {
		return err
	}
	defer t.d.leave()
	if err := t.item(); err != nil {
		return err
	}
	at := t.d.p
	n, err := t.pass()
	if err != nil {
		return err
	}
	if n < 0 {
		return t.d.errorAt(at, "bytecode with %d constants", n)
	}
	for range n {
		kind, err := t.pass()
		if err != nil {
			return err
		}
		if Kind(kind) == KindBytecode && kind < 256 {
			err = t.code()
		} else {
			err = t.expression(kind)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// expression walks a constant of the given type: a call or list, cell by cell,
// or any other item, whose flags then follow.
func (t *transcriber) expression(kind int) error {
	if err := t.d.enter(); err != nil {
		return err
	}
	defer t.d.leave()
	for {
		if kind == codeBytecodeRef {
			_, err := t.pass()
			return err
		}
		if kind == codeBytecodeDef {
			if _, err := t.pass(); err != nil {
				return err
			}
			var err error
			if kind, err = t.pass(); err != nil {
				return err
			}
		}
		n := 1 // the tag
		switch kind {
		case codeAttrLanguage, codeAttrPairlist:
			n++
		case int(KindLanguage), int(KindPairlist):
		default:
			return t.item()
		}
		for range n {
			if err := t.item(); err != nil {
				return err
			}
		}
		car, err := t.pass()
		if err != nil {
			return err
		}
		if err := t.expression(car); err != nil {
			return err
		}
		if kind, err = t.pass(); err != nil { // of the cdr
			return err
		}
	}
}
