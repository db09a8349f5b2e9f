package rvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/rpipe-dev/rpipe/rdata"
)

// FromJSON makes an R value of a JSON document as jsonlite::fromJSON() does: scalars are
// vectors of length 1; arrays of scalars are vectors of the most general type among them,
// with NA for null, and arrays of those, of one length, matrices; arrays of objects are
// data.frames with the keys of all of them; other arrays and objects are lists, named
// for objects. Whole numbers are integers where they fit.
//
// Unlike jsonlite's, objects {"$date": …} are lists, a string with a NUL is an error, and
// very many objects with hardly a key in common stay a list.
func FromJSON(document []byte) (stream []byte, err error) {
	n, err := parse(document)
	if err != nil {
		return nil, err
	}
	return n.stream()
}

// A node is a value of JSON as it stands.
type node struct {
	kind  nodeKind
	num   float64 // of numbers; 1 or 0 of logicals
	str   string
	elems []node
	names []string // of objects, not nil
}

type nodeKind uint8

// In the order in which R generalizes.
const (
	nodeNull nodeKind = iota
	nodeLogical
	nodeInteger
	nodeDouble
	nodeString
	nodeList // an array or object
)

func (n *node) object() bool { return n.kind == nodeList && n.names != nil }

func (n *node) stream() ([]byte, error) {
	b, err := encode(n.simplify(true, true))
	if err != nil {
		return nil, fmt.Errorf("JSON: %w", err)
	}
	return b, nil
}

func parse(document []byte) (node, error) {
	if len(document) > MaxJSON {
		return node{}, fmt.Errorf("JSON: %d bytes are more than the limit of %d; send R's serialization, or split it", len(document), MaxJSON)
	}
	if !utf8.Valid(document) {
		return node{}, errors.New("JSON: it is not valid UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(document, &raw); err != nil {
		return node{}, syntaxError(document, err)
	}
	p := parser{b: document}
	n, err := p.node(0)
	if err != nil {
		return node{}, fmt.Errorf("JSON: %w", err)
	}
	return n, nil
}

// syntaxError says where in a document an error is.
func syntaxError(document []byte, err error) error {
	if len(bytes.TrimSpace(document)) == 0 {
		return errors.New("JSON: the document is empty")
	}
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("JSON: %w", err)
	}
	before := document[:min(max(int(syntax.Offset)-1, 0), len(document))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Errorf("JSON: line %d, column %d: %w", line, column, err)
}

// value is a node by itself, without a look at what is in it.
func (n *node) value() rdata.Value {
	switch n.kind {
	case nodeLogical:
		return &rdata.Logical{Values: []int32{int32(n.num)}}
	case nodeInteger:
		return &rdata.Integer{Values: []int32{int32(n.num)}}
	case nodeDouble:
		return &rdata.Double{Values: []float64{n.num}}
	case nodeString:
		return rdata.NewCharacter([]string{n.str})
	case nodeList:
		return named(&rdata.List{}, n.names)
	}
	return rdata.Null{}
}

func named(l *rdata.List, names []string) *rdata.List {
	if names != nil {
		l.Attrs = rdata.Attributes{{Name: "names", Value: rdata.NewCharacter(names)}}
	}
	return l
}
