package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/tasks/api"
)

// mediaType is that of the body, JSON where nothing is said.
func mediaType(r *http.Request) string {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || t == "" {
		return api.JSON
	}
	return t
}

// maxAhead is how much memory is taken at once for a body that is said to be so long, and
// may not come.
const maxAhead = 16 << 20

// readBody reads the body, all of it.
func readBody(r *http.Request) ([]byte, error) {
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, maxAhead)) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r.Body)
	return b.Bytes(), err
}

// readJSON decodes the body, all of it, into a document. An empty body leaves it as it is.
func (s *Server) readJSON(r *http.Request, into any) error {
	switch t := mediaType(r); t {
	case api.JSON, "application/x-www-form-urlencoded": // the second is what curl says of -d where nobody tells it
	default:
		return &api.Fault{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Message: "the body is " + t + ", and " + api.JSON + " is taken"}
	}
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return decodeJSON(body, s.limits.Load().Depth, into)
}

// decodeJSON is strict: an unknown field is most likely a misspelled one.
func decodeJSON(body []byte, depth int, into any) error {
	if err := shallow(body, depth); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return jsonFault(err, body, reflect.TypeOf(into))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalidField("", "the body has more than one JSON document")
	}
	return nil
}

// shallow refuses what is nested too deep.
func shallow(b []byte, most int) error {
	depth, inside := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '{', c == '[':
			if depth++; depth > most {
				return invalidField("", fmt.Sprintf("the JSON is nested more than %d deep (limits.json_depth); larger structures go as R's serialization", most))
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return nil
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// jsonFault says what is wrong with a body, and where.
func jsonFault(err error, body []byte, t reflect.Type) error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		line, column := place(body, syntax.Offset)
		return invalidField("", fmt.Sprintf("the body is no JSON: line %d, column %d: %v", line, column, syntax))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return invalidField("", "the body is no JSON: it breaks off")
	case errors.As(err, &mismatch):
		return invalidField(mismatch.Field, fmt.Sprintf("must be %s, and is a JSON %s", kindText(mismatch.Type), mismatch.Value))
	}
	var when *time.ParseError
	if errors.As(err, &when) {
		return invalidField(fieldWith(body, when.Value), fmt.Sprintf("%q is no time: write it such as 2026-03-08T01:30:00Z", when.Value))
	}
	if m := unknownField.FindStringSubmatch(err.Error()); m != nil {
		message := "there is no such field"
		if near := configs.DidYouMean(m[1], fieldNames(t)); near != "" {
			message += "; " + near
		}
		return invalidField(m[1], message)
	}
	return invalidField("", err.Error())
}

// fieldWith is the field of a body that has a text as its value; "" where it is in none, or
// nested.
func fieldWith(body []byte, text string) string {
	var fields map[string]any
	if json.Unmarshal(body, &fields) != nil {
		return ""
	}
	for name, v := range fields {
		if v == text {
			return name
		}
	}
	return ""
}

func place(body []byte, offset int64) (line, column int) {
	before := body[:min(max(offset-1, 0), int64(len(body)))]
	return 1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n')
}

func kindText(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Float64, reflect.Float32:
		return "a number"
	}
	return "an integer"
}

// fieldNames are the keys of a document and of those within it.
func fieldNames(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		names = append(names, name)
		names = append(names, fieldNames(t.Field(i).Type)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// accepts is the media type, of those offered, that the request asks for: the first,
// where it says nothing or takes anything. false is none of them.
func accepts(r *http.Request, offered ...string) (string, bool) {
	header := strings.Join(r.Header.Values("Accept"), ",")
	if strings.TrimSpace(header) == "" {
		return offered[0], true
	}
	for part := range strings.SplitSeq(header, ",") {
		t, params, err := mime.ParseMediaType(part)
		if err != nil || params["q"] == "0" {
			continue
		}
		for _, o := range offered {
			family, _, _ := strings.Cut(o, "/")
			if t == o || t == "*/*" || t == family+"/*" {
				return o, true
			}
		}
	}
	return "", false
}

func notAcceptable(offered ...string) error {
	return &api.Fault{Status: http.StatusNotAcceptable, Code: "not_acceptable", Message: "this is there as " + strings.Join(offered, " or ")}
}
