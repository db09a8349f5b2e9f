package pipeline

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
)

// cellValue is a value as YAML would have it: nil, bool, int64, float64, string;
// dates and times as ISO texts, lists and JSON as text.
func cellValue(field arrow.Field, col arrow.Array, i int) any {
	if col.IsNull(i) {
		return nil
	}
	switch a := col.(type) {
	case *array.Boolean:
		return a.Value(i)
	case *array.Int32:
		return int64(a.Value(i))
	case *array.Int64:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	}
	return string(frame.AppendText(nil, col, i, frame.TextOptions{}))
}

// matches reports whether a value of a column is the expected one. Numbers are
// compared by value, texts of dates and times by what they mean.
func matches(want any, field arrow.Field, col arrow.Array, i int, tolerance float64) bool {
	got := cellValue(field, col, i)
	if want == nil || got == nil {
		return want == nil && got == nil
	}
	switch frame.KindOf(field) {
	case frame.KindJSON, frame.KindList:
		text, isText := want.(string)
		if isText && text == got {
			return true
		}
		var value any
		if json.Unmarshal([]byte(got.(string)), &value) != nil {
			return false
		}
		if isText {
			var meant any
			return json.Unmarshal([]byte(text), &meant) == nil && sameJSON(meant, value, tolerance)
		}
		return sameJSON(plainJSON(want), value, tolerance)
	case frame.KindDate, frame.KindTimestamp, frame.KindDatetime:
		text, isText := want.(string)
		return isText && sameMoment(text, field, col, i)
	}
	return sameScalar(want, got, tolerance)
}

// sameMoment compares a date or time with a text, as a column of its type reads it.
func sameMoment(text string, field arrow.Field, col arrow.Array, i int) bool {
	c := frame.NewColumn(field, 1)
	if !c.ParseText([]byte(text)) {
		return false
	}
	a, err := c.Array()
	if err != nil {
		return false
	}
	return string(frame.AppendText(nil, a, 0, frame.TextOptions{})) == string(frame.AppendText(nil, col, i, frame.TextOptions{}))
}

func sameScalar(want, got any, tolerance float64) bool {
	w, wIsWhole := want.(int64)
	g, gIsWhole := got.(int64)
	if wIsWhole && gIsWhole && tolerance == 0 {
		return w == g
	}
	x, xOK := number(want)
	y, yOK := number(got)
	if xOK || yOK {
		return xOK && yOK && near(x, y, tolerance)
	}
	return want == got
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// near reports whether got is within the tolerance of want: so much, times the
// size of want where it is above 1.
func near(want, got, tolerance float64) bool {
	switch {
	case math.IsNaN(want) || math.IsNaN(got):
		return math.IsNaN(want) && math.IsNaN(got)
	case math.IsInf(want, 0) || math.IsInf(got, 0) || tolerance == 0:
		return want == got
	}
	return math.Abs(want-got) <= tolerance*max(1, math.Abs(want))
}

// plainJSON makes of a YAML value what package json makes of JSON.
func plainJSON(v any) any {
	switch v := v.(type) {
	case configs.Object:
		out := map[string]any{}
		for _, m := range v {
			out[m.Key] = plainJSON(m.Value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plainJSON(x)
		}
		return out
	case int64:
		return float64(v)
	}
	return v
}

func sameJSON(want, got any, tolerance float64) bool {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		return ok && maps.EqualFunc(w, g, func(a, b any) bool { return sameJSON(a, b, tolerance) })
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, func(a, b any) bool { return sameJSON(a, b, tolerance) })
	}
	return sameScalar(want, got, tolerance)
}

// shownValue is a value as a failure shows it: NA for a missing one, texts in
// quotes, to be told from numbers.
func shownValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "NA"
	case string:
		return strconv.Quote(v)
	case float64:
		c := frame.NewColumn(arrow.Field{Type: arrow.PrimitiveTypes.Float64, Nullable: true}, 1)
		c.AppendDouble(v)
		if a, err := c.Array(); err == nil {
			return string(frame.AppendText(nil, a, 0, frame.TextOptions{}))
		}
	case configs.Object, []any:
		if b, err := json.Marshal(plainJSON(v)); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v)
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
