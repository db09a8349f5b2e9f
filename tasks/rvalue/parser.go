package rvalue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/rdata"
)

// A parser reads a document that is known to be valid, ten times as fast as tokens of
// encoding/json would come.
type parser struct {
	b []byte
	i int
}

// next is the next byte that is not white space, which stays.
func (p *parser) next() byte {
	for {
		switch c := p.b[p.i]; c {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return c
		}
	}
}

func (p *parser) node(depth int) (node, error) {
	switch c := p.next(); c {
	case 'n':
		p.i += len("null")
		return node{}, nil
	case 't':
		p.i += len("true")
		return node{kind: nodeLogical, num: 1}, nil
	case 'f':
		p.i += len("false")
		return node{kind: nodeLogical}, nil
	case '"':
		s, err := p.text()
		return node{kind: nodeString, str: s}, err
	case '[', '{':
		if depth >= MaxDepth {
			return node{}, fmt.Errorf("arrays and objects nest deeper than %d", MaxDepth)
		}
		p.i++
		return p.list(c == '{', depth+1)
	}
	start := p.i
	for p.i < len(p.b) && strings.IndexByte("+-.0123456789Ee", p.b[p.i]) >= 0 {
		p.i++
	}
	return number(string(p.b[start:p.i])), nil
}

// list reads the rest of an array or object.
func (p *parser) list(object bool, depth int) (node, error) {
	n := node{kind: nodeList}
	if object {
		n.names = []string{}
	}
	for {
		switch p.next() {
		case ']', '}':
			p.i++
			return n, nil
		case ',':
			p.i++
		}
		if object {
			p.next()
			name, err := p.text()
			if err != nil {
				return node{}, err
			}
			n.names = append(n.names, name)
			p.next()
			p.i++ // the colon
		}
		elem, err := p.node(depth)
		if err != nil {
			return node{}, err
		}
		n.elems = append(n.elems, elem)
	}
}

// text reads a string. One with a NUL cannot be one of R.
func (p *parser) text() (string, error) {
	start := p.i
	plain := true
	for p.i++; p.b[p.i] != '"'; p.i++ {
		if p.b[p.i] == '\\' {
			plain = false
			p.i++
		}
	}
	p.i++
	quoted := p.b[start:p.i]
	if plain {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var s string
	if err := json.Unmarshal(quoted, &s); err != nil {
		return "", err
	}
	if bytes.Contains(quoted, []byte("u0000")) && strings.IndexByte(s, 0) >= 0 {
		return "", fmt.Errorf("%.40q: %w", s, rdata.ErrNUL)
	}
	return s, nil
}

// number makes integers of what looks like one and fits.
func number(s string) node {
	if !strings.ContainsAny(s, ".eE") {
		if i, err := strconv.ParseInt(s, 10, 32); err == nil && i != math.MinInt32 {
			return node{kind: nodeInteger, num: float64(i)}
		}
	}
	f, _ := strconv.ParseFloat(s, 64) // beyond the range it is infinite, as in R
	return node{kind: nodeDouble, num: f}
}
