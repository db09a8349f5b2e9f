package ndjson

// Keys are the keys of an object that Valid has passed, in their order; none
// where the document is no object.
func Keys(doc []byte) (keys []string, err error) {
	i := space(doc, 0)
	if i >= len(doc) || doc[i] != '{' {
		return nil, nil
	}
	i = space(doc, i+1)
	for done := doc[i] == '}'; !done; {
		escaped, end, err := quoted(doc, i)
		if err != nil {
			return nil, err
		}
		key := doc[i+1 : end-1]
		if escaped {
			key = unescape(nil, key)
		}
		keys = append(keys, string(key))
		if i, err = colon(doc, end); err != nil {
			return nil, err
		}
		if i, err = skip(doc, i, 1); err != nil {
			return nil, err
		}
		if i, done, err = next(doc, i, '}'); err != nil {
			return nil, err
		}
	}
	return keys, nil
}
