package webapi

import (
	"fmt"
	"strconv"

	"github.com/rpipe-dev/rpipe/configs"
)

// JSONTemplate makes a template of a value as YAML has it: nil, bool, int64,
// float64, string, []any or configs.Object. Its texts are templates; one that is
// a place alone becomes the JSON value of what it stands for, a number for a
// number.
func JSONTemplate(value any) (*Template, error) {
	t := &Template{kind: JSON}
	if err := t.value(value, ""); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Template) literal(text string) {
	if n := len(t.parts); n > 0 && t.parts[n-1].place == nil {
		t.parts[n-1].text += text
		return
	}
	t.parts = append(t.parts, part{text: text})
}

// value adds a value; at is where it stands, for errors.
func (t *Template) value(value any, at string) error {
	switch v := value.(type) {
	case nil:
		t.literal("null")
	case bool:
		t.literal(strconv.FormatBool(v))
	case int64:
		t.literal(strconv.FormatInt(v, 10))
	case float64:
		t.literal(strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		return t.string(v, at)
	case []any:
		t.literal("[")
		for i, it := range v {
			if i > 0 {
				t.literal(",")
			}
			if err := t.value(it, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		t.literal("]")
	case configs.Object:
		if len(v) == 1 && v[0].Value == nil {
			return fmt.Errorf("%sis the mapping {%s: null} to YAML; write %q, in quotes, for the value of %s", within(at), v[0].Key, "{"+v[0].Key+"}", v[0].Key)
		}
		t.literal("{")
		for i, m := range v {
			if i > 0 {
				t.literal(",")
			}
			t.literal(string(appendJSONText([]byte(`"`), m.Key, '"')) + ":")
			inner := m.Key
			if at != "" {
				inner = at + "." + m.Key
			}
			if err := t.value(m.Value, inner); err != nil {
				return err
			}
		}
		t.literal("}")
	default:
		return fmt.Errorf("%sis a %T, which JSON does not have", within(at), value)
	}
	return nil
}

func within(at string) string {
	if at == "" {
		return ""
	}
	return at + " "
}

func (t *Template) string(text, at string) error {
	inner, err := ParseTemplate(text, Text)
	if err != nil {
		return fmt.Errorf("%s%w", within(at), err)
	}
	if inner.Only() {
		inner.all(jsonValue)
		t.parts = append(t.parts, inner.parts...)
		return nil
	}
	inner.all(jsonString)
	t.literal(`"`)
	for _, p := range inner.parts {
		if p.place != nil {
			t.parts = append(t.parts, p)
		} else {
			t.literal(string(appendJSONText(nil, p.text, 0)))
		}
	}
	t.literal(`"`)
	return nil
}
