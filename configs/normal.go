package configs

import (
	"bytes"
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Normalized writes a struct that was decoded as YAML with every default filled
// in, keys in the order of the struct. Decoding it again gives the same struct,
// but for secrets, which come out as ***. Left out is what was absent and has no
// default: empty strings, lists and maps, nil pointers, and structs that lack
// what they require.
func Normalized(from any) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(from))
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("configs: write %T as YAML: it is no struct", from)
	}
	var out bytes.Buffer
	dumper, err := yaml.NewDumper(&out, yaml.WithLineWidth(-1), yaml.WithCompactSeqIndent(false))
	if err != nil {
		return nil, fmt.Errorf("configs: write %T as YAML: %w", from, err)
	}
	if err := dumper.Dump(normalStruct(v)); err != nil {
		return nil, fmt.Errorf("configs: write %T as YAML: %w", from, err)
	}
	if err := dumper.Close(); err != nil {
		return nil, fmt.Errorf("configs: write %T as YAML: %w", from, err)
	}
	return out.Bytes(), nil
}

func normalStruct(v reflect.Value) *yaml.Node {
	s := shapeOf(v.Type())
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range s.fields {
		if x := v.FieldByIndex(f.index); !f.leftOut(x) {
			put(out, f.name, normalValue(x))
		}
	}
	if s.component != nil {
		if c := v.FieldByIndex(s.component.index); !c.IsNil() {
			put(out, s.table.NameOf(c.Interface()), normalStruct(reflect.Indirect(c.Elem())))
		}
	}
	if s.rest != nil {
		out.Content = append(out.Content, normalValue(v.FieldByIndex(s.rest.index)).Content...)
	}
	return out
}

// leftOut tells whether writing a value would say more than the file did.
func (f *field) leftOut(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0 && !f.defaulted
	case reflect.Pointer, reflect.Interface:
		return v.IsNil()
	case reflect.Struct:
		return nested(v.Type()) != nil && lacking(v)
	case reflect.Bool:
		return false
	}
	// A zero that the bounds forbid was never given.
	return v.IsZero() && !f.defaulted && f.min != "" && less(v, f.limit(f.min))
}

// lacking tells whether a struct, which then was absent, has not got what it
// requires or says nothing.
func lacking(v reflect.Value) bool {
	s := shapeOf(v.Type())
	if s.component != nil && v.FieldByIndex(s.component.index).IsNil() && s.instead(v) == "" {
		return true
	}
	for _, f := range s.fields {
		x := v.FieldByIndex(f.index)
		if f.required && (x.IsZero() || x.Kind() == reflect.Struct && nested(x.Type()) != nil && lacking(x)) {
			return true
		}
	}
	return len(normalStruct(v).Content) == 0
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, word(key), value)
}

// word is text that reads back as text.
func word(text string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	if strings.ContainsAny(text, "\n") {
		n.Style = yaml.LiteralStyle
	}
	return n
}

// escaped is a value that the reader would not take for a variable.
func escaped(text string) *yaml.Node {
	return word(strings.ReplaceAll(text, "${", "$${"))
}

func bare(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

func normalValue(v reflect.Value) *yaml.Node {
	switch x := v.Interface().(type) {
	case Pairs:
		out := &yaml.Node{Kind: yaml.MappingNode}
		for _, p := range x {
			put(out, p.Name, pairValue(p))
		}
		return out
	case Object:
		out := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, m := range x {
			put(out, m.Key, normalAny(m.Value))
		}
		return out
	case Size:
		return bare("", x.String())
	case Duration:
		return bare("", x.String())
	case encoding.TextMarshaler:
		if text, err := x.MarshalText(); err == nil {
			return escaped(string(text))
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return normalValue(v.Elem())
	case reflect.Interface:
		return normalAny(v.Interface())
	case reflect.Struct:
		return normalStruct(v)
	case reflect.Slice:
		out := &yaml.Node{Kind: yaml.SequenceNode}
		if nested(v.Type()) == nil {
			out.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			out.Content = append(out.Content, normalValue(v.Index(i)))
		}
		return out
	case reflect.Map:
		out := &yaml.Node{Kind: yaml.MappingNode}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) })
		for _, k := range keys {
			put(out, k.String(), normalValue(v.MapIndex(k)))
		}
		return out
	case reflect.Bool:
		return bare("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Float32, reflect.Float64:
		return bare("!!float", strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case reflect.String:
		return escaped(v.String())
	}
	return bare("!!int", fmt.Sprint(v.Interface()))
}

// pairValue keeps what was a number a number and what was quoted text.
func pairValue(p Pair) *yaml.Node {
	n := escaped(p.Value)
	if p.Quoted && n.Style == 0 {
		n.Style = yaml.DoubleQuotedStyle
	} else if !p.Quoted {
		n.Tag = ""
	}
	return n
}

// normalAny writes what a field of type any holds.
func normalAny(x any) *yaml.Node {
	switch x := x.(type) {
	case nil:
		return bare("!!null", "null")
	case float64:
		return bare("!!float", freeNumber(x))
	case []any:
		out := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, it := range x {
			out.Content = append(out.Content, normalAny(it))
		}
		return out
	}
	return normalValue(reflect.ValueOf(x))
}
