package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// form is what an object stands for that is no value itself.
type form struct {
	R    []byte `json:"$r,omitempty"`
	Ref  string `json:"$ref,omitempty"`
	Task string `json:"$task,omitempty"`
}

// MarshalJSON writes the value itself, or the form that stands for it.
func (v Value) MarshalJSON() ([]byte, error) {
	switch {
	case v.R != nil || v.Ref != "" || v.Task != "":
		return json.Marshal(form{v.R, v.Ref, v.Task})
	case v.JSON != nil:
		return v.JSON, nil
	}
	return []byte("null"), nil
}

// UnmarshalJSON takes an object whose only key is $r, $ref or $task for its form, and
// all else as it stands.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value{}
	if trimmed := bytes.TrimSpace(b); len(trimmed) > 0 && trimmed[0] == '{' {
		key, single := onlyKey(trimmed)
		if single && (key == "$r" || key == "$ref" || key == "$task") {
			var f form
			if err := json.Unmarshal(trimmed, &f); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
			v.R, v.Ref, v.Task = f.R, f.Ref, f.Task
			if v.R == nil && v.Ref == "" && v.Task == "" {
				return fmt.Errorf("%s is empty", key)
			}
			return nil
		}
	}
	v.JSON = bytes.Clone(b)
	return nil
}

// onlyKey is the key of an object that has just one.
func onlyKey(object []byte) (key string, single bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	d.Token() // {
	t, err := d.Token()
	key, ok := t.(string)
	if err != nil || !ok || !strings.HasPrefix(key, "$") {
		return "", false
	}
	var skipped json.RawMessage
	if d.Decode(&skipped) != nil {
		return "", false
	}
	return key, !d.More()
}

// MarshalJSON writes an object, or an array where no argument has a name.
func (a Args) MarshalJSON() ([]byte, error) {
	named := false
	values := make([]Value, len(a))
	for i, arg := range a {
		named = named || arg.Name != ""
		values[i] = arg.Value
	}
	if !named {
		return json.Marshal(values)
	}
	var b bytes.Buffer
	b.WriteByte('{')
	for i, arg := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		name := arg.Name
		if name == "" {
			name = ".." + strconv.Itoa(i+1)
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(arg.Value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads an object, in the order of its keys, or an array. A key ..N is an
// argument by position.
func (a *Args) UnmarshalJSON(b []byte) error {
	*a = nil
	b = bytes.TrimSpace(b)
	if bytes.Equal(b, []byte("null")) {
		return nil
	}
	if len(b) > 0 && b[0] == '[' {
		var values []Value
		if err := json.Unmarshal(b, &values); err != nil {
			return err
		}
		for _, v := range values {
			*a = append(*a, Arg{Value: v})
		}
		return nil
	}
	if len(b) == 0 || b[0] != '{' {
		return errors.New("args must be an object by name, or an array by position")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.Token() // {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name := t.(string)
		if strings.HasPrefix(name, "$") {
			return fmt.Errorf("args are an object by name, or an array: %s stands for one value, not for all of them", name)
		}
		if seen[name] {
			return fmt.Errorf("argument %q stands twice", name)
		}
		seen[name] = true
		var v Value
		if err := d.Decode(&v); err != nil {
			return fmt.Errorf("argument %q: %w", name, err)
		}
		if number, dots := strings.CutPrefix(name, ".."); dots {
			if _, err := strconv.Atoi(number); err == nil {
				name = ""
			}
		}
		*a = append(*a, Arg{name, v})
	}
	return nil
}
