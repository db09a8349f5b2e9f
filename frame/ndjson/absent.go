package ndjson

// Absent is where a path ends in a document before its last step.
type Absent struct {
	Key    string // the one that is not there
	Inside string // the part of the path before it; "" is the document itself
	Of     []byte // the value that does not have it
}

// Absent says where a path ends too early in a document that Valid has passed: a
// key that an object does not have, or that is asked of what is no object. It is
// nil where the path leads to a value, to null or below one, and where an array is
// too short: those may be so in one document and not in the next.
func (p Path) Absent(doc []byte) *Absent {
	i, inside := space(doc, 0), ""
	for _, s := range p.steps {
		if i >= len(doc) || doc[i] == 'n' {
			return nil
		}
		at, ok, err := i, false, error(nil)
		if s.array {
			at, ok, err = element(doc, i, s.index)
		} else {
			at, ok, err = member(doc, i, s.key)
		}
		switch {
		case err != nil || s.array && !ok:
			return nil
		case !ok:
			end, err := skip(doc, i, 0)
			if err != nil {
				return nil
			}
			return &Absent{Key: s.key, Inside: inside, Of: doc[i:end]}
		}
		i, inside = at, joined(inside, s)
	}
	return nil
}

// joined is a path with one step more, for errors.
func joined(path string, s step) string {
	switch {
	case s.array:
		return path + "[…]"
	case path == "":
		return s.key
	}
	return path + "." + s.key
}
