package configs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Load is Parse and Decode with all problems of both, in order. The document is
// nil where the file is not YAML.
func Load(name string, data []byte, vars Variables, into any) (*Document, Problems) {
	doc, problems := Parse(name, data, vars)
	problems = append(problems, Decode(doc, into)...)
	problems.Sort()
	return doc, problems
}

// Parse reads one YAML document and expands its variables. Name is what problems
// call the file. Aliases and merge keys work; several documents, custom tags,
// duplicate keys and keys that are not text are refused. The document is nil
// where there is nothing to decode; otherwise Decode finds the rest of the
// problems and passes over what Parse has reported.
func Parse(name string, data []byte, vars Variables) (*Document, Problems) {
	p := &parser{
		text:  newSource(name, data),
		nodes: map[*yaml.Node]*node{},
		vars:  expansion{Variables: vars, seen: map[string]bool{}},
	}
	tree, ok := p.read(data)
	if !ok {
		return nil, p.problems
	}
	root := p.value(tree, "")
	p.unusedVariables()
	p.problems.Sort()
	return &Document{text: p.text, root: root, places: map[string]Position{"": root.at}}, p.problems
}

// maxDepth is far beyond any real file, and keeps the recursion small.
const maxDepth = 200

type parser struct {
	text     *source
	vars     expansion
	nodes    map[*yaml.Node]*node // those done, and nil for those begun
	last     *node                // whose end is where the next node begins
	depth    int
	problems Problems
}

func (p *parser) report(at Position, path, message, hint string) {
	p.problems = append(p.problems, p.text.problem(at, path, message, hint))
}

func (p *parser) read(data []byte) (tree *yaml.Node, ok bool) {
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		p.report(Position{}, "", err.Error(), "")
		return nil, false
	}
	var first, second yaml.Node
	if err := loader.Load(&first); err != nil && !errors.Is(err, io.EOF) {
		p.syntax(err)
		return nil, false
	}
	if len(first.Content) == 0 || first.Content[0].Tag == "!!null" {
		p.report(Position{1, 1}, "", "the file is empty", "")
		return nil, false
	}
	if err := loader.Load(&second); err == nil {
		p.report(Position{second.Line, second.Column}, "", "a second document begins here",
			"one file holds one document: take out the line --- and what follows, or put it into a file of its own")
		return nil, false
	} else if !errors.Is(err, io.EOF) {
		p.syntax(err)
		return nil, false
	}
	return first.Content[0], true
}

func (p *parser) value(y *yaml.Node, path string) *node {
	at := Position{y.Line, y.Column}
	if y.Kind == yaml.AliasNode {
		p.mark(&node{at: at})
		y = y.Alias
		if n, begun := p.nodes[y]; begun && n == nil {
			p.report(at, path, "*"+y.Anchor+" stands inside the value it refers to", "")
			return &node{kind: scalar, bad: true, at: at}
		}
	}
	if n := p.nodes[y]; n != nil {
		return n
	}
	n := &node{at: Position{y.Line, y.Column}}
	p.nodes[y] = nil
	defer func() { p.nodes[y] = n }()
	p.mark(n)
	if p.depth++; p.depth > maxDepth {
		p.depth--
		p.report(at, path, "is nested too deeply", "")
		n.bad = true
		return n
	}
	defer func() { p.depth-- }()

	switch y.Kind {
	case yaml.MappingNode:
		n.kind = mapping
		p.mapping(y, n, path)
	case yaml.SequenceNode:
		n.kind = list
		for i, c := range y.Content {
			n.items = append(n.items, p.value(c, item(path, i)))
		}
	default:
		p.scalar(y, n, path)
	}
	return n
}

// mark notes that the node before ends where this one begins.
func (p *parser) mark(n *node) {
	if p.last != nil {
		p.last.end = n.at
	}
	p.last = n
}

func (p *parser) mapping(y *yaml.Node, n *node, path string) {
	own := map[string]Position{}
	var merged []*node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k := y.Content[i]
		at := Position{k.Line, k.Column}
		p.mark(&node{at: at})
		if k.Kind != yaml.ScalarNode {
			p.report(at, path, "a key must be text", "")
			continue
		}
		if k.Tag == "!!merge" {
			merged = append(merged, p.merge(y.Content[i+1], path)...)
			continue
		}
		value := p.value(y.Content[i+1], below(path, k.Value))
		if first, twice := own[k.Value]; twice {
			p.report(at, below(path, k.Value), fmt.Sprintf("is given twice, first in line %d", first.Line), "")
			n.again = append(n.again, entry{k.Value, at, value})
			continue
		}
		own[k.Value] = at
		n.entries = append(n.entries, entry{k.Value, at, value})
	}
	// The mapping's own keys win, then those of the first merged mapping.
	for _, m := range merged {
		for _, e := range m.entries {
			if _, given := own[e.key]; !given {
				own[e.key] = e.at
				n.entries = append(n.entries, e)
			}
		}
	}
}

// merge returns the mappings that a << key takes in.
func (p *parser) merge(y *yaml.Node, path string) []*node {
	n := p.value(y, path)
	all := []*node{n}
	if n.kind == list {
		all = n.items
	}
	for _, m := range all {
		if m.kind != mapping && !m.bad {
			p.report(m.at, path, "<< takes a mapping or a list of mappings, not "+m.String(), "")
			return nil
		}
	}
	return all
}

func (p *parser) scalar(y *yaml.Node, n *node, path string) {
	n.kind, n.text, n.tag = scalar, y.Value, y.Tag
	n.quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	switch {
	case strings.HasPrefix(y.Tag, "!") && !strings.HasPrefix(y.Tag, "!!") || y.Tag == "!!binary":
		p.report(n.at, path, "the tag "+y.Tag+" means nothing here", "leave it out")
		n.bad = true
	case y.Tag == "!!null" && !n.quoted:
		n.kind = null
	}
	text, replaced, faults := p.vars.expand(y.Value)
	for _, f := range faults {
		p.report(n.at, path, f.message, f.hint)
		n.bad = true
	}
	n.text = text
	if replaced {
		n.tag, n.quoted = "", false
	}
}

// syntax reports an error of the YAML library in this package's words.
func (p *parser) syntax(err error) {
	var fault *yaml.LoadError
	if !errors.As(err, &fault) {
		p.report(Position{}, "", "not YAML: "+err.Error(), "")
		return
	}
	at := Position{fault.Mark.Line, fault.Mark.Column}
	message := "not YAML: " + fault.Message
	if begin := fault.ContextMark; begin.Line > 0 && begin.Line != at.Line {
		message += " (" + fault.ContextMsg
		if at.Line > p.text.last() {
			at = Position{begin.Line, begin.Column}
			message += " that begins here)"
		} else {
			message += fmt.Sprintf(" that begins in line %d)", begin.Line)
		}
	}
	if at.Line == 0 {
		if place, why := p.text.unreadable(); why != "" {
			at, message = place, why
		}
	}
	p.report(at, "", message, p.syntaxHint(at, fault.Message))
}

// syntaxHint knows what commonly stands at the place of a syntax error.
func (p *parser) syntaxHint(at Position, message string) string {
	if at.Line < 1 || at.Line > len(p.text.lines) {
		return ""
	}
	line := p.text.lines[at.Line-1]
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	switch {
	case strings.Contains(indent, "\t"):
		return "indent with spaces; YAML does not allow tabs"
	case strings.Contains(message, "did not find expected ','") && strings.Contains(line, "${"):
		return `inside { } and [ ] a variable needs quotes: {max: "${n:7}"}; it still becomes a number where one is wanted`
	case strings.Contains(message, "mapping values are not allowed"):
		return "a value with a colon and a space in it needs quotes, and keys of one mapping the same indent"
	case strings.Contains(message, "cannot start any token") && at.Column-1 < len([]rune(line)):
		return fmt.Sprintf("a value that begins with %c needs quotes", []rune(line)[max(0, at.Column-1)])
	case strings.Contains(message, "incompatible YAML document"):
		return "leave the %YAML line out"
	case strings.Contains(message, "unknown escape character"):
		return `in double quotes \ begins an escape: write \\, or use single quotes`
	}
	return ""
}
