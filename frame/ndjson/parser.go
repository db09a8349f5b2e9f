// Package ndjson reads JSON records straight into the columns of a frame.
//
// A record is a JSON object; its keys are the columns. What nests in a record
// becomes JSON text, a column of type json. Sources give the first records to an
// [Inferrer], whose schema a [Parser] then holds all records to.
//
// The grammar is RFC 8259's and nothing more, and stricter where readers differ:
// a key twice in a record, bytes that are not UTF-8, half of a surrogate pair and
// nesting beyond MaxDepth are errors. So is anything behind the record.
package ndjson

import (
	"fmt"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// Options say what a Parser does with what its schema does not name.
type Options struct {
	// Ignore skips keys that are not in the schema, which are a
	// *frame.ConflictError otherwise.
	Ignore bool
	Rows   int // how many rows to make room for; 0 is frame.Rows
}

// Parser builds frames of one schema from records. It is not safe for
// concurrent use.
type Parser struct {
	*frame.Builder
	o       Options
	names   []string
	kinds   []frame.Kind
	index   map[string]int
	simple  []bool // by column: its name stands in JSON as it is
	seen    []int  // by column: the number of the record that had it last
	ignored map[string]int
	record  int // number of the current record, from 1
	text    []byte
	key     []byte
}

// NewParser makes a parser for schema s. It panics where s has a type that
// frames do not have.
func NewParser(s *frame.Schema, o Options) *Parser {
	rows := o.Rows
	if rows == 0 {
		rows = frame.Rows
	}
	p := &Parser{Builder: frame.NewBuilderSize(s, rows), o: o, index: make(map[string]int, s.NumFields()),
		seen: make([]int, s.NumFields()), ignored: map[string]int{}}
	for i, f := range s.Fields() {
		p.names = append(p.names, f.Name)
		p.kinds = append(p.kinds, frame.KindOf(f))
		p.index[f.Name] = i
		p.simple = append(p.simple, plain([]byte(f.Name), 0) == len(f.Name))
	}
	return p
}

// Append adds a row for one record, which it does not keep. A key that the
// record lacks is a missing value, and so is null. A column takes
//
//   - bool: true and false; numbers: JSON numbers that it holds exactly;
//   - string: strings, and the text of numbers and booleans;
//   - json: any value, as its text;
//   - lists: arrays of what their elements take;
//   - other types: strings that frame.Column.ParseText reads.
//
// The error is a *SyntaxError or, where a value does not fit its column, a
// *frame.ConflictError whose Row counts this parser's records from 0. The row is
// then not added.
func (p *Parser) Append(record []byte) error {
	p.record++
	n := p.Len()
	err := p.object(record)
	if err != nil {
		for i := range p.names {
			p.Column(i).Truncate(n)
		}
	}
	return err
}

func (p *Parser) object(b []byte) error {
	if !utf8.Valid(b) {
		return invalidUTF8(b)
	}
	i := space(b, 0)
	if i >= len(b) || b[i] != '{' {
		return unexpected(b, i, "a record ({…})")
	}
	i = space(b, i+1)
	found, guess := 0, 0
	if i < len(b) && b[i] == '}' {
		i++
	} else {
		for done := false; !done; {
			col, end, err := p.column(b, i, guess)
			if err != nil {
				return err
			}
			if col < 0 {
				end, err = skip(b, end, 1)
			} else {
				guess = col + 1
				found++
				end, err = p.value(p.Column(col), p.kinds[col], b, end)
			}
			if err != nil {
				return err
			}
			if i, done, err = next(b, end, '}'); err != nil {
				return err
			}
		}
	}
	if i = space(b, i); i < len(b) {
		return unexpected(b, i, "the end of the record")
	}
	if found < len(p.names) {
		for k, seen := range p.seen {
			if seen != p.record {
				p.Column(k).AppendNull()
			}
		}
	}
	return nil
}

// column finds the column of the key at b[i], -1 for one to ignore, and where
// its value starts. Records tend to have their keys in one order, so the column
// after the last one is tried first.
func (p *Parser) column(b []byte, i, guess int) (col, value int, err error) {
	if i >= len(b) || b[i] != '"' {
		return 0, 0, unexpected(b, i, "a key in quotes")
	}
	if guess < len(p.names) {
		if name := p.names[guess]; len(b)-i > len(name)+1 && b[i+1+len(name)] == '"' && string(b[i+1:i+1+len(name)]) == name &&
			p.simple[guess] && p.seen[guess] != p.record {
			p.seen[guess] = p.record
			value, err = colon(b, i+len(name)+2)
			return guess, value, err
		}
	}
	escaped, end, err := quoted(b, i)
	if err != nil {
		return 0, 0, err
	}
	key := b[i+1 : end-1]
	if escaped {
		p.key = unescape(p.key[:0], key)
		key = p.key
	}
	col, known := p.index[string(key)]
	switch {
	case known && p.seen[col] != p.record:
		p.seen[col] = p.record
	case known, p.ignored[string(key)] == p.record:
		return 0, 0, &SyntaxError{i, fmt.Sprintf("the key %q twice in one record", key)}
	default:
		col = -1
		if len(p.ignored) > 1000 { // keys without end, such as ids
			clear(p.ignored)
		}
		p.ignored[string(key)] = p.record
	}
	if value, err = colon(b, end); err != nil {
		return 0, 0, err
	}
	if col < 0 && !p.o.Ignore {
		return 0, 0, p.unexpectedKey(string(key), b, value)
	}
	return col, value, nil
}

func (p *Parser) unexpectedKey(key string, b []byte, value int) error {
	end, err := skip(b, value, 1)
	if err != nil {
		return err
	}
	return &frame.ConflictError{Column: key, Have: frame.TypeName(fieldOf(kindOf(b[value:end]))), Row: p.record - 1,
		Hint: "the records before did not have it; declare it, or ignore what is not declared"}
}

// value adds the value at b[i] to a column.
func (p *Parser) value(c *frame.Column, kind frame.Kind, b []byte, i int) (end int, err error) {
	if i < len(b) && b[i] == 'n' {
		if end, err = literal(b, i, "null"); err == nil {
			c.AppendNull()
		}
		return end, err
	}
	if i < len(b) && b[i] == '"' && kind != frame.KindJSON {
		return p.stringValue(c, kind, b, i)
	}
	if i < len(b) && b[i] == '[' && kind == frame.KindList {
		return p.list(c, b, i)
	}
	if end, err = skip(b, i, 1); err != nil {
		return 0, err
	}
	text := b[i:end]
	ok := false
	switch first := b[i]; kind {
	case frame.KindJSON:
		c.AppendBytes(text)
		ok = true
	case frame.KindString:
		if ok = first != '{' && first != '['; ok {
			c.AppendBytes(text)
		}
	case frame.KindBool:
		if ok = first == 't' || first == 'f'; ok {
			c.AppendBool(first == 't')
		}
	case frame.KindInt32, frame.KindInt64, frame.KindDouble, frame.KindDifftime:
		ok = c.ParseText(text) // which takes no true, { or [
	}
	if !ok {
		return 0, p.conflict(c, kindOf(text), text)
	}
	return end, nil
}

func (p *Parser) stringValue(c *frame.Column, kind frame.Kind, b []byte, i int) (int, error) {
	escaped, end, err := quoted(b, i)
	if err != nil {
		return 0, err
	}
	text := b[i+1 : end-1]
	if escaped {
		p.text = unescape(p.text[:0], text)
		text = p.text
	}
	switch kind {
	case frame.KindString, frame.KindFactor:
		c.AppendBytes(text) // the whole record is UTF-8
	case frame.KindDate, frame.KindTimestamp, frame.KindDatetime, frame.KindBinary:
		if !c.ParseText(text) {
			return 0, p.conflict(c, mayString, b[i:end])
		}
	default:
		return 0, p.conflict(c, mayString, b[i:end])
	}
	return end, nil
}

func (p *Parser) list(c *frame.Column, b []byte, i int) (int, error) {
	child := c.Child()
	kind := frame.KindOf(child.Field())
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		c.AppendList()
		return i + 1, nil
	}
	n := child.Len()
	for done := false; !done; {
		end, err := p.value(child, kind, b, i)
		if err == nil {
			i, done, err = next(b, end, ']')
		}
		if err != nil {
			child.Truncate(n) // the list itself has not been counted yet
			if conflict, ok := err.(*frame.ConflictError); ok {
				conflict.Column, conflict.Want = c.Field().Name, frame.TypeName(c.Field())
				conflict.Hint = "declare the column as json"
			}
			return 0, err
		}
	}
	c.AppendList()
	return i, nil
}

func (p *Parser) conflict(c *frame.Column, have jsonKind, text []byte) error {
	const most = 60
	if len(text) > most {
		text = append(text[:most:most], "…"...)
	}
	f := c.Field()
	hint := fmt.Sprintf("declare the column as %s", frame.TypeName(fieldOf(unify(have, kindOfField(f)))))
	return &frame.ConflictError{Column: f.Name, Have: frame.TypeName(fieldOf(have)), Want: frame.TypeName(f),
		Row: p.record - 1, Value: string(text), Hint: hint}
}

func kindOfField(f arrow.Field) jsonKind {
	switch frame.KindOf(f) {
	case frame.KindBool:
		return mayBool
	case frame.KindInt32, frame.KindInt64:
		return mayInt
	case frame.KindDouble, frame.KindDifftime:
		return mayDouble
	case frame.KindJSON, frame.KindList:
		return mayJSON
	}
	return mayString
}

func invalidUTF8(b []byte) error {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return &SyntaxError{i, "not UTF-8"}
		}
		i += n
	}
	return nil
}
