package predict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// schema is what the rows of an endpoint must be. A nil *schema is none: rows are
// what they come as.
type schema struct {
	*frame.Schema
	rules []rule // by column
	extra bool   // columns that it does not have are an error
}

// rule is a Rule with what follows from it.
type rule struct {
	required, nullable bool
	enum               map[string]bool // nil for any
	words              string          // the enum, for messages
	min, max           *float64
}

// schemaOf is an endpoint's schema; nil for none.
func schemaOf(e *Endpoint) (*schema, error) {
	columns, err := fields("schema", e.Schema)
	if err != nil || columns == nil {
		return nil, err
	}
	s := &schema{rules: make([]rule, len(columns)), extra: e.Extra == "error"}
	for i := range columns {
		c, r := &columns[i], &s.rules[i]
		said := e.Rules[c.Name]
		r.required = said.Required == nil || *said.Required
		r.nullable = said.Nullable == nil || *said.Nullable
		r.min, r.max = said.Min, said.Max
		if len(said.Enum) == 0 {
			continue
		}
		r.enum = make(map[string]bool, len(said.Enum))
		quoted := make([]string, len(said.Enum))
		for k, v := range said.Enum {
			r.enum[v] = true
			quoted[k] = strconv.Quote(v)
		}
		r.words = strings.Join(quoted, ", ")
		if frame.KindOf(*c) == frame.KindFactor {
			levels, err := json.Marshal(said.Enum)
			if err != nil {
				return nil, fmt.Errorf("rules.%s.enum: %w", c.Name, err)
			}
			c.Metadata = arrow.MetadataFrom(map[string]string{frame.MetaLevels: string(levels)})
		}
	}
	s.Schema = arrow.NewSchema(columns, nil)
	return s, nil
}

// fields are columns as configuration has them; nil for none.
func fields(key string, pairs configs.Pairs) ([]arrow.Field, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	out := make([]arrow.Field, len(pairs))
	for i, p := range pairs {
		f, err := frame.ParseType(p.Value)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", key, p.Name, err)
		}
		f.Name = p.Name
		out[i] = f
	}
	return out, nil
}

// columnNames are the names of a schema's columns.
func columnNames(s *frame.Schema) []string {
	out := make([]string, s.NumFields())
	for i := range out {
		out[i] = s.Field(i).Name
	}
	return out
}

// check finds the rows of f, which has the schema's columns, that break its rules,
// in order. Place is where each row stands in the request; nil is in order.
func (s *schema) check(f frame.Frame, place []int32) []*RowError {
	if s == nil {
		return nil
	}
	bad := map[int]*RowError{}
	for c, r := range s.rules {
		name := s.Field(c).Name
		report := func(i int, message string) {
			e := bad[i]
			if e == nil {
				e = invalid(placeOf(place, i))
				bad[i] = e
			}
			e.add(name, message)
		}
		col := f.Column(c)
		if !r.nullable && col.NullN() > 0 {
			for i := range col.Len() {
				if col.IsNull(i) {
					report(i, "is null, and may not be")
				}
			}
		}
		r.values(col, report)
	}
	if len(bad) == 0 {
		return nil
	}
	out := make([]*RowError, 0, len(bad))
	for _, e := range bad {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *RowError) int { return a.Index - b.Index })
	return out
}

// values reports the values that the rule does not allow.
func (r *rule) values(col arrow.Array, report func(i int, message string)) {
	if r.enum == nil && r.min == nil && r.max == nil {
		return
	}
	text := func(i int) string { return string(frame.AppendText(nil, col, i, frame.TextOptions{})) }
	for i := range col.Len() {
		if col.IsNull(i) {
			continue
		}
		if r.enum != nil && !r.enum[text(i)] {
			report(i, fmt.Sprintf("%s is none of %s", strconv.Quote(clip(text(i))), r.words))
		}
		v, ok := number(col, i)
		switch {
		case !ok:
		case r.min != nil && !(v >= *r.min): // NaN is not
			report(i, fmt.Sprintf("%s is less than %v", text(i), *r.min))
		case r.max != nil && !(v <= *r.max):
			report(i, fmt.Sprintf("%s is more than %v", text(i), *r.max))
		}
	}
}

func number(col arrow.Array, i int) (float64, bool) {
	switch a := col.(type) {
	case *array.Int32:
		return float64(a.Value(i)), true
	case *array.Int64:
		return float64(a.Value(i)), true
	case *array.Float64:
		return a.Value(i), true
	}
	return 0, false
}

// placeOf is where row i stands in the request. A negative one is none.
func placeOf(place []int32, i int) int {
	if place == nil || i < 0 {
		return i
	}
	return int(place[i])
}

// clip shortens a text for a message.
func clip(s string) string {
	most := 60
	for i := range s {
		if most--; most < 0 {
			return s[:i] + "…"
		}
	}
	return s
}
