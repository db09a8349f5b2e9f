package ndjson

// Keys are the keys of an object that Valid has passed, in their order; none
// where the document is no object.
func Keys(doc []byte) (keys []string, err error) {
	err = Members(doc, func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	})
	return keys, err
}

// Members hands each key of an object, which Valid has passed, to each, with the
// text of its value; an error of each ends it. There are none where the document is
// no object. Values share the document's memory.
func Members(doc []byte, each func(key string, value []byte) error) error {
	i := space(doc, 0)
	if i >= len(doc) || doc[i] != '{' {
		return nil
	}
	i = space(doc, i+1)
	for done := doc[i] == '}'; !done; {
		escaped, end, err := quoted(doc, i)
		if err != nil {
			return err
		}
		key := doc[i+1 : end-1]
		if escaped {
			key = unescape(nil, key)
		}
		if i, err = colon(doc, end); err != nil {
			return err
		}
		if end, err = skip(doc, i, 1); err != nil {
			return err
		}
		if err = each(string(key), doc[i:end]); err != nil {
			return err
		}
		if i, done, err = next(doc, end, '}'); err != nil {
			return err
		}
	}
	return nil
}
