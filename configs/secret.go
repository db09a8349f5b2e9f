package configs

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
)

// Secret is a string that never prints: formatting with any verb, JSON, YAML
// and slog give *** for it ("" where it is empty). string(s) is its value.
type Secret string

const hidden = "***"

// String gives *** or "".
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format keeps every verb of package fmt from the value, %q, %x and %#v too.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText keeps encoders, JSON and YAML among them, from the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps slog's handlers from the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// secret tells whether a type holds secrets, one or many.
func secret(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t == secretType
}

// hide keeps a secret that stands in the file itself out of quotes of it.
func (d *decoder) hide(n *node) {
	if d.hidden[n] {
		return
	}
	if d.hidden == nil {
		d.hidden = map[*node]bool{}
	}
	d.hidden[n] = true
	d.doc.text.hide(n.at, n.end)
	for _, it := range n.items {
		d.hide(it)
	}
	for _, e := range n.entries {
		d.hide(e.value)
	}
}
