package api

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

func described(t *testing.T) (any, string) {
	t.Helper()
	text, err := Description("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document, string(text)
}

// TestTheDescriptionIsOpenAPI: by the OpenAPI Initiative's schema of 3.1 (2022-10-07).
func TestTheDescriptionIsOpenAPI(t *testing.T) {
	data, err := os.ReadFile("testdata/openapi-3.1-schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	resolved, err := schema.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	document, _ := described(t)
	if err := resolved.Validate(document); err != nil {
		t.Error(err)
	}
	document.(map[string]any)["paths"].(map[string]any)["/v1/jobs"].(map[string]any)["post"].(map[string]any)["responses"] = "none"
	if resolved.Validate(document) == nil {
		t.Error("the schema lets anything pass")
	}
}

// TestReferencesOfTheDescriptionLeadSomewhere, and everything that is defined is used.
func TestReferencesOfTheDescriptionLeadSomewhere(t *testing.T) {
	document, text := described(t)
	schemas := document.(map[string]any)["components"].(map[string]any)["schemas"].(map[string]any)
	used := map[string]bool{}
	for _, m := range regexp.MustCompile(`"#/components/schemas/(\w+)"`).FindAllStringSubmatch(text, -1) {
		used[m[1]] = true
		if schemas[m[1]] == nil {
			t.Errorf("there is no schema %s", m[1])
		}
	}
	for name := range schemas {
		if !used[name] {
			t.Errorf("nothing uses schema %s", name)
		}
	}
	if len(used) < 30 {
		t.Errorf("%d schemas are used", len(used))
	}
}

// TestRoutesAreWhole: each has what a reader of the description needs.
func TestRoutesAreWhole(t *testing.T) {
	ops, places := map[string]bool{}, map[string]bool{}
	for _, r := range Routes {
		at := r.Method + " " + r.Path
		if ops[r.Op] || places[at] {
			t.Errorf("%s, %s: twice", at, r.Op)
		}
		ops[r.Op], places[at] = true, true
		if r.Summary == "" || strings.HasSuffix(r.Summary, ".") || tagTexts[r.Tag] == "" {
			t.Errorf("%s: summary %q, tag %q", at, r.Summary, r.Tag)
		}
		for _, p := range r.Query {
			if p.Name == "" || !strings.HasSuffix(p.Doc, ".") {
				t.Errorf("%s: parameter %q: %q", at, p.Name, p.Doc)
			}
		}
		for _, f := range r.Faults {
			if faultTexts[f] == "" {
				t.Errorf("%s: nothing says what %d means", at, f)
			}
		}
		for _, m := range placeholder.FindAllStringSubmatch(r.Path, -1) {
			if pathTexts[m[1]] == "" {
				t.Errorf("%s: nothing says what %s is", at, m[1])
			}
		}
		for _, v := range []any{r.In, r.Out} {
			if v != nil {
				explained(t, reflect.TypeOf(v), nil)
			}
		}
	}
}

// explained checks that every field of a document has a text.
func explained(t *testing.T, typ reflect.Type, seen []reflect.Type) {
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || slices.Contains(seen, typ) || typ == timeType || typ == valueType || typ == reflect.TypeFor[Arg]() {
		return
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Tag.Get("json") == "-" {
			continue
		}
		if text := f.Tag.Get("doc"); !f.Anonymous && !strings.HasSuffix(text, ".") {
			t.Errorf("%v.%s: the text %q", typ, f.Name, text)
		}
		explained(t, f.Type, append(seen, typ))
	}
}
