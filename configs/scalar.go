package configs

import (
	"encoding"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scalar decodes a string, bool or number.
func (d *decoder) scalar(n *node, path string, v reflect.Value) {
	if n.kind != scalar {
		d.report(n.at, path, "must be "+wanted(v.Type())+", not "+n.String(), "")
		return
	}
	if v.Kind() == reflect.String {
		v.SetString(n.text)
		return
	}
	if n.text == "" && n.tag == "" && !n.quoted { // a variable that is empty
		return
	}
	fault, hint := "is not "+wanted(v.Type()), ""
	ok := false
	switch {
	case n.quoted:
		fault, hint = "is text, not "+wanted(v.Type()), "take the quotes off"
	case v.Kind() == reflect.Bool:
		ok = n.text == "true" || n.text == "false"
		v.SetBool(n.text == "true")
		switch strings.ToLower(n.text) {
		case "yes", "on", "y", "true":
			hint = "write true"
		case "no", "off", "n", "false":
			hint = "write false"
		}
	case v.CanInt():
		var x int64
		if x, ok = integer(n.text); ok && v.OverflowInt(x) {
			fault, ok = "is too large", false
		}
		if ok {
			v.SetInt(x)
		}
	case v.CanUint():
		var x int64
		if x, ok = integer(n.text); ok && (x < 0 || v.OverflowUint(uint64(x))) {
			fault, ok = "is out of range", false
		}
		if ok {
			v.SetUint(uint64(x))
		}
	case v.CanFloat():
		x, err := strconv.ParseFloat(n.text, 64)
		if ok = err == nil && !math.IsInf(x, 0) && !math.IsNaN(x) && !strings.ContainsAny(n.text, "_xXpP"); ok {
			v.SetFloat(x)
		}
	default:
		panic(fmt.Sprintf("configs: %s: a field of type %v cannot be configured", path, v.Type()))
	}
	if !ok {
		d.report(n.at, path, n.shown()+" "+fault, hint)
	}
}

// text decodes a type that reads its text itself.
func (d *decoder) text(n *node, path string, v reflect.Value) {
	if n.kind != scalar {
		d.report(n.at, path, "must be "+wanted(v.Type())+", not "+n.String(), "")
		return
	}
	if n.text == "" && n.tag == "" && !n.quoted {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil {
		hint := ""
		if h, ok := v.Interface().(interface{ hint() string }); ok {
			hint = h.hint()
		}
		d.report(n.at, path, n.shown()+" "+err.Error(), hint)
	}
}

// integer reads a decimal integer, also as 1e6 where that is exact. 007 is
// refused, since YAML readers differ on what it is.
func integer(text string) (int64, bool) {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "-"), "+")
	if len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	if x, err := strconv.ParseInt(text, 10, 64); err == nil {
		return x, true
	}
	if len(text) > 25 || strings.Trim(digits, "0123456789.eE+") != "" || !strings.ContainsAny(digits, "eE") {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) >= 1<<62 || f != math.Trunc(f) {
		return 0, false
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, false
	}
	return exact.Num().Int64(), true
}

// wanted names a type as messages do.
func wanted(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[Size]():
		return "a size"
	case t == reflect.TypeFor[Duration]():
		return "a duration"
	case t == secretType:
		return "a secret"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number"
	}
	return "a single value"
}

// bounds applies the tags enum, required, min and max to a decoded value.
func (d *decoder) bounds(n *node, path string, v reflect.Value, f *field) {
	length, unit := -1, ""
	switch v.Kind() {
	case reflect.String:
		text := v.String()
		if text == "" && f.required {
			d.report(n.at, path, "is empty", f.hint())
			return
		}
		if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
			d.report(n.at, path, n.shown()+" is not one of "+strings.Join(f.enum, ", "), ifNear(text, f.enum))
		}
		length, unit = utf8.RuneCountInString(text), "characters"
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 && f.required {
			d.report(n.at, path, "is empty", f.hint())
			return
		}
		length, unit = v.Len(), "entries"
	}
	if f.min == "" && f.max == "" {
		return
	}
	if length >= 0 {
		if low, err := strconv.Atoi(f.min); err == nil && length < low {
			d.report(n.at, path, fmt.Sprintf("has %d %s, at least %d are needed", length, unit, low), "")
		}
		if high, err := strconv.Atoi(f.max); err == nil && length > high {
			d.report(n.at, path, fmt.Sprintf("has %d %s, at most %d are allowed", length, unit, high), "")
		}
		return
	}
	if f.min != "" && less(v, f.limit(f.min)) {
		d.report(n.at, path, n.shown()+" is below the minimum of "+f.min, "")
	}
	if f.max != "" && less(f.limit(f.max), v) {
		d.report(n.at, path, n.shown()+" is above the maximum of "+f.max, "")
	}
}

func ifNear(word string, among []string) string {
	if near := nearest(word, among); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// limit decodes a min or max tag as the field's own type.
func (f *field) limit(text string) reflect.Value {
	t := f.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	v := reflect.New(t).Elem()
	(&field{name: f.name, fallback: text}).setDefault(v)
	return v
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return a.Int() < b.Int()
	case a.CanUint():
		return a.Uint() < b.Uint()
	}
	return a.Float() < b.Float()
}
