package predict

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// json reads one of the documents of form.
func (r *reader) json(body []byte) (*input, error) {
	if err := ndjson.Valid(body); err != nil {
		return nil, badRequest("%v", err)
	}
	body = bytes.TrimSpace(body)
	switch body[0] {
	case '[':
		return r.array(formRows, body)
	case '{':
	default:
		return nil, badRequest("JSON: %s, where rows were expected, such as [{…}, {…}]", ndjson.Describe(body))
	}
	keys, values, err := members(body)
	if err != nil {
		return nil, err
	}
	for _, wrapper := range []struct {
		key  string
		form form
	}{{"rows", formWrapped}, {"instances", formInstances}} {
		if inner, ok := ndjson.Key(wrapper.key).Find(body); ok && inner[0] == '[' && !r.has(wrapper.key) {
			return r.array(wrapper.form, inner)
		}
	}
	if inner, ok := ndjson.Key("columns").Find(body); ok && inner[0] == '{' && !r.has("columns") {
		if keys, values, err = members(inner); err != nil {
			return nil, err
		}
		return r.table(keys, values)
	}
	if r.areColumns(keys, values) {
		return r.table(keys, values)
	}
	return r.records(formObject, [][]byte{body})
}

// members are the keys of an object and the text of their values.
func members(object []byte) (keys []string, values [][]byte, err error) {
	err = ndjson.Members(object, func(key string, value []byte) error {
		keys, values = append(keys, key), append(values, value)
		return nil
	})
	if err != nil {
		return nil, nil, badRequest("%v", err)
	}
	return keys, values, nil
}

// has reports whether the schema has a column of that name.
func (r *reader) has(name string) bool { return r.schema != nil && r.schema.HasField(name) }

// areColumns reports whether an object is columns rather than one row: all of its
// values are arrays, and the schema has no column that is one itself.
func (r *reader) areColumns(keys []string, values [][]byte) bool {
	for i, k := range keys {
		if values[i][0] != '[' {
			return false
		}
		if r.has(k) {
			f := r.schema.Field(r.schema.FieldIndices(k)[0])
			if kind := frame.KindOf(f); kind == frame.KindList || kind == frame.KindJSON {
				return false
			}
		}
	}
	return len(keys) > 0
}

// array reads rows in an array.
func (r *reader) array(f form, text []byte) (*input, error) {
	var records [][]byte
	err := ndjson.Elements(text, func(element []byte) error {
		records = append(records, element)
		return r.tooMany(len(records))
	})
	if err != nil {
		return nil, err
	}
	return r.records(f, records)
}

// ndjson reads a row from each line that is not empty.
func (r *reader) ndjson(body []byte) (*input, error) {
	var records [][]byte
	number := 0
	for line := range bytes.Lines(body) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if err := ndjson.Valid(line); err != nil {
			return nil, badRequest("line %d: %v", number, err)
		}
		records = append(records, line)
		if err := r.tooMany(len(records)); err != nil {
			return nil, err
		}
	}
	return r.records(formRows, records)
}

// table makes rows of columns. In the rows a column goes by its number: a name may
// be as long as the request, and would stand in each of them.
func (r *reader) table(keys []string, values [][]byte) (*input, error) {
	if err := distinct(keys); err != nil {
		return nil, err
	}
	if r.schema != nil {
		if _, err := r.columns(keys); err != nil {
			return nil, err
		}
	}
	var records [][]byte
	for k, key := range keys {
		if values[k][0] != '[' {
			return nil, badRequest("JSON: column %q is %s, where an array of its values was expected", key, clip(ndjson.Describe(values[k])))
		}
		number := fmt.Appendf(nil, `"%d":`, k)
		passed := r.schema != nil && !r.schema.HasField(key)
		n := 0
		err := ndjson.Elements(values[k], func(element []byte) error {
			switch {
			case k == 0:
				records = append(records, []byte{'{'})
				if err := r.tooMany(len(records)); err != nil {
					return err
				}
			case n >= len(records):
				return badRequest("JSON: column %q has more than the %d values that column %q has", key, len(records), keys[0])
			}
			if !passed {
				if len(records[n]) > 1 {
					records[n] = append(records[n], ',')
				}
				records[n] = append(append(records[n], number...), element...)
			}
			n++
			return nil
		})
		if err != nil {
			return nil, err
		}
		if n < len(records) {
			return nil, badRequest("JSON: column %q has %d values, column %q has %d", key, n, keys[0], len(records))
		}
	}
	for i := range records {
		records[i] = append(records[i], '}')
	}
	numbered := &reader{schema: r.schema.numbered(keys), maxRows: r.maxRows}
	in, err := numbered.records(formColumns, records)
	if err != nil {
		return nil, err
	}
	in.named(r.schema, keys)
	return in, nil
}

// records reads rows, each of them valid JSON.
func (r *reader) records(f form, records [][]byte) (*input, error) {
	in := &input{form: f, rows: len(records)}
	if len(records) == 0 {
		return in, nil
	}
	s, extra := r.schema, false
	if s == nil {
		guessed := ndjson.NewInferrer(nil)
		for _, record := range records {
			_ = guessed.Sample(record) // what is no row is said below
		}
		s = &schema{Schema: guessed.Schema()}
		if s.NumFields() == 0 {
			return nil, badRequest("JSON: the rows have no columns")
		}
		if err := distinct(columnNames(s.Schema)); err != nil {
			return nil, err
		}
		if err := sparse(s.NumFields(), records); err != nil {
			return nil, err
		}
	} else {
		extra = s.extra
	}
	p := ndjson.NewParser(s.Schema, ndjson.Options{Ignore: !extra, Rows: len(records)})
	good := make([]int32, 0, len(records))
	before := make([]int, len(s.rules))
	for i, record := range records {
		if e := appendRecord(p, s, record, i, before); e != nil {
			in.errors = append(in.errors, e)
		} else {
			good = append(good, int32(i))
		}
	}
	if len(good) == 0 {
		return in, nil
	}
	built, err := p.Frame()
	if err != nil {
		return nil, badRequest("rows: %v", err)
	}
	if r.schema == nil {
		built = unknown(built)
	}
	in.frame = built
	if len(good) < len(records) {
		in.place = good
	}
	return in, nil
}

// sparse refuses rows that have hardly a column in common: as a table they would
// take many times the memory that they take as text.
func sparse(columns int, records [][]byte) error {
	size := 1 << 20
	for _, record := range records {
		size += len(record)
	}
	if columns*len(records) <= size {
		return nil
	}
	return fault.New(http.StatusRequestEntityTooLarge, "too_large",
		fmt.Sprintf("the %d rows have %d columns between them, and most rows lack most of them; send rows of the same columns together", len(records), columns))
}

// appendRecord adds a row, or says what is wrong with it. Before is memory for a
// number for each rule.
func appendRecord(p *ndjson.Parser, s *schema, record []byte, index int, before []int) *RowError {
	for i := range before {
		before[i] = p.Column(i).Nulls()
	}
	n := p.Len()
	if err := p.Append(record); err != nil {
		return appendSlowly(p, s, record, index)
	}
	var e *RowError
	for i, nulls := range before {
		if p.Column(i).Nulls() == nulls || !s.rules[i].required {
			continue
		}
		name := s.Field(i).Name
		if _, given := ndjson.Key(name).Find(record); given {
			continue // null: check judges that
		}
		if e == nil {
			e = invalid(index)
		}
		e.add(name, "is missing")
	}
	if e != nil {
		for i := range before {
			p.Column(i).Truncate(n)
		}
	}
	return e
}

// appendSlowly looks at a row that the parser refused column by column: for all
// that is wrong with it, and for the words that R's JSON has for numbers which
// JSON does not have.
func appendSlowly(p *ndjson.Parser, s *schema, record []byte, index int) *RowError {
	e := invalid(index)
	if record[0] != '{' {
		e.Message = "is " + ndjson.Describe(record) + ", where a row was expected, such as {…}"
		return e
	}
	keys, err := ndjson.Keys(record)
	if err == nil {
		err = distinct(keys)
	}
	if err != nil {
		e.Message = err.Error()
		return e
	}
	n := p.Len()
	for i, f := range s.Fields() {
		value, given := ndjson.Key(f.Name).Find(record)
		switch {
		case given:
			if !appendValue(p.Column(i), value) {
				e.add(f.Name, fmt.Sprintf("%s is not %s", clip(string(value)), frame.TypeName(f)))
			}
		case len(s.rules) > 0 && s.rules[i].required:
			e.add(f.Name, "is missing")
		default:
			p.Column(i).AppendNull()
		}
	}
	if s.extra {
		for _, k := range keys {
			if !s.HasField(k) {
				e.add(k, "is not expected")
			}
		}
	}
	if len(e.Columns) == 0 {
		return nil
	}
	for i := range s.NumFields() {
		p.Column(i).Truncate(n)
	}
	return e
}

// appendValue adds a JSON value to a column, or reports false.
func appendValue(c *frame.Column, value []byte) bool {
	kind := frame.KindOf(c.Field())
	switch value[0] {
	case 'n':
		c.AppendNull()
		return true
	case '"':
		text, _ := ndjson.Text(nil, value)
		switch kind {
		case frame.KindString, frame.KindFactor:
			c.AppendBytes(text)
			return true
		case frame.KindDate, frame.KindTimestamp, frame.KindDatetime, frame.KindBinary:
			return c.ParseText(text)
		case frame.KindDouble, frame.KindDifftime:
			return appendWord(c, string(text))
		case frame.KindJSON:
			c.AppendBytes(value)
			return true
		}
		return false
	case '[':
		if kind == frame.KindList {
			return appendList(c, value)
		}
		fallthrough
	case '{':
		if kind == frame.KindJSON {
			c.AppendBytes(value)
			return true
		}
		return false
	}
	switch boolean := value[0] == 't' || value[0] == 'f'; kind {
	case frame.KindBool:
		return boolean && c.ParseText(value)
	case frame.KindString, frame.KindJSON:
		c.AppendBytes(value)
		return true
	case frame.KindInt32, frame.KindInt64, frame.KindDouble, frame.KindDifftime:
		return !boolean && c.ParseText(value)
	}
	return false
}

// appendWord adds the number that a word stands for, as jsonlite has it.
func appendWord(c *frame.Column, word string) bool {
	switch word {
	case "NA":
		c.AppendNull()
		return true
	case "NaN", "Inf", "-Inf", "Infinity", "-Infinity":
		v, err := strconv.ParseFloat(word, 64)
		if err == nil {
			c.AppendDouble(v)
		}
		return err == nil
	}
	return false
}

func appendList(c *frame.Column, value []byte) bool {
	child, ok := c.Child(), true
	n := child.Len()
	_ = ndjson.Elements(value, func(element []byte) error { // which is valid
		ok = ok && appendValue(child, element)
		return nil
	})
	if !ok {
		child.Truncate(n)
		return false
	}
	c.AppendList()
	return true
}
