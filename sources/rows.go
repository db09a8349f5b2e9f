package sources

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// Rows is a small table written in the pipeline file.
type Rows struct {
	Rows  []any             `yaml:"rows" required:"true" doc:"The rows, each a mapping of column names to values. A key that a row does not have, or null, is a missing value." example:"[{id: 1, name: a}, {id: 2, name: b}]"`
	Types map[string]string `yaml:"types" doc:"Types of columns by name, as in csv. Without it true and false make bool, whole numbers int32 or int64, other numbers double, and all else string." example:"{day: date}"`
}

var (
	_ Source              = (*Rows)(nil)
	_ configs.Checker     = (*Rows)(nil)
	_ configs.Shorthander = (*Rows)(nil)
)

// Shorthand lets the list stand without its key.
func (*Rows) Shorthand() string { return "rows" }

// Check reports values that make no column.
func (s *Rows) Check(report func(field, message, hint string)) {
	if _, err := s.table(); err != nil {
		report("rows", err.Error(), "")
	}
}

// Open makes the table.
func (s *Rows) Open(_ context.Context, _ *stages.Env, from string) (Reader, error) {
	t, err := s.table()
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	g, err := openGenerated(t.Schema(), t.NumRows(), from, func(from, to int64) (frame.Frame, error) {
		return frame.Slice(t, int(from), int(to)), nil
	})
	if err != nil {
		return nil, fmt.Errorf("rows: %w", err)
	}
	g.config = fmt.Sprintf("SHA-256 %x", sha256.Sum256(fmt.Append(nil, s.Rows, s.Types)))
	return g, nil
}

// table builds the frame of all rows.
func (s *Rows) table() (frame.Frame, error) {
	var names []string
	values := map[string][]any{}
	for i, r := range s.Rows {
		row, ok := r.(configs.Object)
		if !ok {
			return nil, fmt.Errorf("row %d is not a mapping of column names to values", i+1)
		}
		for _, m := range row {
			if _, ok := values[m.Key]; !ok {
				names = append(names, m.Key)
			}
			if values[m.Key] = append(values[m.Key], make([]any, i+1-len(values[m.Key]))...); m.Value != nil {
				values[m.Key][i] = m.Value
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		if values[name] == nil {
			return nil, fmt.Errorf("types: no column %q%s", name, didYouMean(name, names))
		}
	}
	fields := make([]arrow.Field, len(names))
	for i, name := range names {
		f, err := s.field(name, values[name])
		if err != nil {
			return nil, err
		}
		fields[i] = f
	}
	b := frame.NewBuilderSize(arrow.NewSchema(fields, nil), len(s.Rows))
	for i, name := range names {
		column := values[name]
		for row := range s.Rows {
			if row >= len(column) || column[row] == nil {
				b.Column(i).AppendNull()
				continue
			}
			text := plainText(column[row])
			if !b.Column(i).ParseText([]byte(text)) {
				return nil, fmt.Errorf("row %d, column %q: %q is not %s", row+1, name, text, article(frame.TypeName(fields[i])))
			}
		}
	}
	return b.Frame()
}

// field finds the type that holds all values of a column.
func (s *Rows) field(name string, values []any) (arrow.Field, error) {
	if t, ok := s.Types[name]; ok {
		return textType(name, t)
	}
	var bools, small, whole, numbers, others int
	for row, v := range values {
		switch v := v.(type) {
		case nil:
		case bool:
			bools++
		case int64:
			whole++
			if v > math.MinInt32 && v <= math.MaxInt32 {
				small++
			}
		case float64:
			numbers++
		case string:
			others++
		default:
			return arrow.Field{}, fmt.Errorf("row %d, column %q: a value must be a text, a number, true, false or null", row+1, name)
		}
	}
	t := "string"
	switch any := bools + whole + numbers + others; {
	case any == 0, others > 0:
	case bools == any:
		t = "bool"
	case bools > 0:
	case small == any:
		t = "int32"
	case whole == any:
		t = "int64"
	default:
		t = "double"
	}
	return textType(name, t)
}

// plainText writes a YAML scalar as the parsers of columns read it.
func plainText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 0):
			return map[bool]string{true: "Inf", false: "-Inf"}[v > 0]
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
