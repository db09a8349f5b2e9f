package api

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// documentsPage is where Documents is, as seen from Reference.
const documentsPage = "rest-documents.md"

// Reference writes a page about all routes, in Markdown, below an intro.
func Reference(w io.Writer, intro string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# REST API\n\n%s\n\n", strings.TrimSpace(intro))
	used := func(v any) string {
		if v == nil {
			return ""
		}
		return link(reflect.TypeOf(v))
	}
	seen := map[string]bool{}
	for _, r := range Routes {
		if !seen[r.Tag] {
			seen[r.Tag] = true
			fmt.Fprintf(b, "## %s\n\n%s\n\n", strings.ToUpper(r.Tag[:1])+r.Tag[1:], tagTexts[r.Tag])
		}
		fmt.Fprintf(b, "### %s\n\n`%s %s`\n\n%s\n\n", r.Summary, r.Method, r.Path, strings.TrimSpace(r.Doc+" "+rights[r.Right]))
		if len(r.Query) > 0 {
			fmt.Fprint(b, "| Parameter | Meaning |\n| --- | --- |\n")
			for _, p := range r.Query {
				fmt.Fprintf(b, "| `%s` | %s%s |\n", p.Name, cell(p.Doc), words(p.Enum))
			}
			fmt.Fprintln(b)
		}
		if takes := forms(used(r.In), r.InAs, r.In != nil); takes != "" {
			fmt.Fprintf(b, "Takes %s. ", takes)
		}
		lines := slices.Contains(r.OutAs, Lines) || slices.Contains(r.OutAs, Stream)
		answer := forms(used(r.Out), r.OutAs, r.Out != nil && !lines)
		if lines && r.Out != nil {
			answer = link(reflect.TypeOf(r.Out)) + " as " + codes(r.OutAs)
		}
		fmt.Fprintf(b, "Answers with %s.\n\n", answer)
	}
	return b.Flush()
}

// Documents writes a page about all documents that routes take and answer with.
func Documents(w io.Writer, intro string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "# Documents of the REST API\n\n%s\n\n", strings.TrimSpace(intro))
	var types []reflect.Type
	for _, r := range Routes {
		for _, v := range []any{r.In, r.Out} {
			if v != nil {
				types = documents(reflect.TypeOf(v), types)
			}
		}
	}
	for _, t := range documents(reflect.TypeFor[Fault](), types) {
		document(b, t)
	}
	return b.Flush()
}

// forms are the media types of a body.
func forms(document string, others []string, isJSON bool) string {
	switch {
	case isJSON && len(others) > 0:
		return document + " as JSON, or " + codes(others)
	case isJSON:
		return document
	}
	return codes(others)
}

func codes(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = "`" + s + "`"
	}
	if n := len(quoted); n > 1 {
		return strings.Join(quoted[:n-1], ", ") + " or " + quoted[n-1]
	}
	return strings.Join(quoted, "")
}

// documents adds t, and what it holds, to types.
func documents(t reflect.Type, types []reflect.Type) []reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType || t == valueType || t == reflect.TypeFor[Arg]() || slices.Contains(types, t) {
		return types
	}
	types = append(types, t)
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("json") != "-" {
			types = documents(t.Field(i).Type, types)
		}
	}
	return types
}

func link(t reflect.Type) string {
	if t == valueType {
		return "a value"
	}
	return fmt.Sprintf("[%s](%s#%s)", t.Name(), documentsPage, strings.ToLower(t.Name()))
}

// document writes the fields of one.
func document(b *bufio.Writer, t reflect.Type) {
	fmt.Fprintf(b, "## %s\n\n| Field | Type | Meaning |\n| --- | --- | --- |\n", t.Name())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		var enum []string
		if text := f.Tag.Get("enum"); text != "" {
			enum = strings.Split(text, "|")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s%s |\n", name, typeText(f.Type), cell(f.Tag.Get("doc")), words(enum))
	}
	fmt.Fprintln(b)
}

// typeText is what a value of a type is for a reader.
func typeText(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case durationType:
		return "duration"
	case sizeType:
		return "size"
	case timeType:
		return "time"
	case valueType:
		return "value"
	case argsType:
		return "values by name, or in order"
	case stringsType:
		return "strings"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	case reflect.Slice:
		inner := typeText(t.Elem())
		if inner == "string" {
			return "strings"
		}
		return "array of " + inner
	case reflect.Map:
		return typeText(t.Elem()) + " by name"
	case reflect.Struct:
		return link(t)
	case reflect.Interface:
		return "anything"
	}
	return "number"
}

func cell(text string) string { return strings.ReplaceAll(text, "|", "\\|") }

// words are those that a string can be, where the text does not name them.
func words(enum []string) string {
	if len(enum) == 0 {
		return ""
	}
	return " One of " + codes(enum) + "."
}
