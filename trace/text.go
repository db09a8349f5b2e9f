package trace

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// valid is a text with what is no UTF-8 in it replaced: protobuf takes no other, and one
// span would keep all that are sent with it from the collector.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// clean are attributes whose texts are valid. Those that are given stay as they are.
func clean(attrs []Attr) []Attr {
	ours := false
	for i, a := range attrs {
		var value attribute.Value
		switch a.Value.Type() {
		case attribute.STRING:
			value = attribute.StringValue(valid(a.Value.AsString()))
		case attribute.STRINGSLICE:
			texts := a.Value.AsStringSlice()
			for i := range texts {
				texts[i] = valid(texts[i])
			}
			value = attribute.StringSliceValue(texts)
		default:
			continue
		}
		if value == a.Value {
			continue
		}
		if !ours {
			attrs, ours = slices.Clone(attrs), true
		}
		attrs[i].Value = value
	}
	return attrs
}

// longest is how much of a message is the status of a span.
const longest = 512

func short(s string) string {
	s = valid(s)
	if len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest], "") + "…"
}
