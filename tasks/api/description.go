package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object.
type object = map[string]any

const intro = `A durable task queue for R. Submit jobs (a call of R, or one for each of many
elements), follow their tasks, wait for them, collect results.

From the server's own machine and user no token is needed, unless it is set up so;
otherwise show one made by "rpipe token create --scope submit" as a bearer.`

// Description is the OpenAPI 3.1 description of the API, made of Routes and the types of
// documents.
func Description(version string) ([]byte, error) {
	if version == "" {
		version = "devel"
	}
	d := &describer{schemas: object{}}
	paths := object{}
	for i := range Routes {
		r := &Routes[i]
		at, ok := paths[r.Path].(object)
		if !ok {
			at = object{}
			paths[r.Path] = at
		}
		at[strings.ToLower(r.Method)] = d.operation(r)
	}
	d.ref(reflect.TypeFor[Fault]())
	out, err := json.MarshalIndent(object{
		"openapi":  "3.1.0",
		"info":     object{"title": "rpipe serve", "version": version, "description": intro, "license": object{"name": "see LICENSE", "url": "https://github.com/rpipe-dev/rpipe"}},
		"servers":  []any{object{"url": "/"}},
		"tags":     tags(),
		"paths":    paths,
		"security": []any{object{"token": []string{}}, object{}},
		"components": object{
			"schemas":         d.schemas,
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer", "description": "A token of rpipe token create."}},
		},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// tagTexts say what the groups of operations are about.
var tagTexts = map[string]string{
	"jobs": "What is submitted: a call of R, or one for each of many elements.", "tasks": "The single calls.",
	"many": "Many tasks and jobs in one request.", "events": "Server-sent events.", "queues": "Queues and their limits.",
	"workers": "Processes that run tasks.", "apis": "plumber APIs and others that the server has mounted below their paths.", "settings": "Environments, worker configurations, owners.",
	"security":  "Who changed what, log-ins, and where notifications go.",
	"schedules": "What runs by the clock, and its runs.",
	"pipelines": "Pipelines of the server, and their runs.",
	"values":    "R values apart from submissions and results.", "server": "The server itself.",
}

func tags() []any {
	var all []any
	seen := map[string]bool{}
	for _, r := range Routes {
		if !seen[r.Tag] {
			seen[r.Tag] = true
			all = append(all, object{"name": r.Tag, "description": tagTexts[r.Tag]})
		}
	}
	return all
}

// rights say what a route takes.
var rights = map[Right]string{
	Use: "Takes scope submit, read or admin.", Submit: "Takes scope submit.", Change: "Takes scope submit for what is one's own, admin for what is not.", Read: "Takes scope read or admin.", Admin: "Takes scope admin.", Open: "For everybody.",
}

type describer struct{ schemas object }

var placeholder = regexp.MustCompile(`\{([a-z]+)\}`)

func (d *describer) operation(r *Route) object {
	text := strings.TrimSpace(r.Doc + " " + rights[r.Right])
	op := object{"operationId": r.Op, "tags": []string{r.Tag}, "summary": r.Summary, "responses": d.responses(r)}
	if text != "" {
		op["description"] = text
	}
	if r.Right == Open {
		op["security"] = []any{}
	}
	var params []any
	for _, m := range placeholder.FindAllStringSubmatch(r.Path, -1) {
		params = append(params, object{"name": m[1], "in": "path", "required": true, "description": pathTexts[m[1]], "schema": object{"type": "string"}})
	}
	for _, p := range r.Query {
		schema := object{"type": p.Type}
		if p.Type == "" {
			schema["type"] = "string"
		}
		if len(p.Enum) > 0 {
			schema["enum"] = p.Enum
		}
		if p.Many {
			schema = object{"type": "array", "items": schema}
		}
		params = append(params, object{"name": p.Name, "in": "query", "description": p.Doc, "schema": schema})
	}
	if params != nil {
		op["parameters"] = params
	}
	content := object{}
	if r.In != nil {
		content[JSON] = object{"schema": d.ref(reflect.TypeOf(r.In))}
	}
	for _, t := range r.InAs {
		content[t] = object{}
	}
	if len(content) > 0 {
		op["requestBody"] = object{"required": r.Op != "retryJob" && r.Op != "retryTask" && r.Op != "runSchedule" && r.Tag != "pipelines", "content": content}
	}
	return op
}

var pathTexts = map[string]string{"id": "Id.", "name": "Name.", "ref": "Reference: SHA-256 in hex."}

// faultTexts say what statuses of errors mean here.
var faultTexts = map[int]string{
	400: "Something of the request is wrong: field says what, message how to mend it.", 401: "No token, or none that is good.",
	403: "The token is not good for this.", 404: "There is none, or it is another's.", 406: "None of the accepted media types can be had.",
	409: "The state of things does not allow it.", 413: "The body is too large.", 415: "The body's media type is not taken.",
	422: "The configuration file is wrong: the message has its problems with their places.",
	429: "A queue or an owner is at a limit: try again after Retry-After.", 500: "An error of the server.",
	503: "Not now: try again after Retry-After.", 504: "The worker does not answer.", 507: "The store is full.",
}

func (d *describer) responses(r *Route) object {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	content := object{}
	if r.Out != nil && !slices.Contains(r.OutAs, Lines) && !slices.Contains(r.OutAs, Stream) {
		content[JSON] = object{"schema": d.ref(reflect.TypeOf(r.Out))}
	}
	for _, t := range r.OutAs {
		if content[t] == nil {
			content[t] = object{}
		}
		if r.Out != nil && (t == Lines || t == Stream) {
			content[t] = object{"schema": d.ref(reflect.TypeOf(r.Out))}
		}
	}
	all := object{strconv.Itoa(status): object{"description": r.Summary + ".", "content": content}}
	if r.Op == "submitJob" {
		all["200"] = object{"description": "There was a job with this key or id.", "content": content}
	}
	faults := slices.Clone(r.Faults)
	if r.Right != Open {
		faults = append(faults, 400, 401, 403, 500)
	}
	for _, f := range faults {
		answer := object{"description": faultTexts[f], "content": object{JSON: object{"schema": d.ref(reflect.TypeFor[Fault]())}}}
		if r.Op == "getReadiness" || r.Op == "getHealth" {
			answer = object{"description": "Not ready: the text says why.", "content": object{Text: object{}}}
		}
		all[strconv.Itoa(f)] = answer
	}
	return all
}

// ref is a reference to the schema of a type, which it makes.
func (d *describer) ref(t reflect.Type) object {
	at := object{"$ref": "#/components/schemas/" + t.Name()}
	if _, made := d.schemas[t.Name()]; !made {
		d.schemas[t.Name()] = object{} // a type may hold itself
		d.schemas[t.Name()] = d.document(t)
	}
	return at
}

var (
	durationType = reflect.TypeFor[Duration]()
	sizeType     = reflect.TypeFor[Size]()
	timeType     = reflect.TypeFor[time.Time]()
	valueType    = reflect.TypeFor[Value]()
	argsType     = reflect.TypeFor[Args]()
	stringsType  = reflect.TypeFor[Strings]()
)

// schema is what a value of a type looks like.
func (d *describer) schema(t reflect.Type) object {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t {
	case durationType:
		return object{"oneOf": []any{object{"type": "number", "minimum": 0, "description": "Seconds."}, object{"type": "string", "examples": []string{"90s", "1h30m"}}}}
	case sizeType:
		return object{"oneOf": []any{object{"type": "integer", "minimum": 0, "description": "Bytes."}, object{"type": "string", "examples": []string{"64MiB"}}}}
	case timeType:
		return object{"type": "string", "format": "date-time"}
	case stringsType:
		return object{"oneOf": []any{object{"type": "array", "items": object{"type": "string"}}, object{"type": "string"}}}
	case argsType:
		return object{"oneOf": []any{object{"type": "object", "additionalProperties": d.ref(valueType)}, object{"type": "array", "items": d.ref(valueType)}}}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem())}
	case reflect.Interface:
		return object{}
	case reflect.Struct:
		return d.ref(t)
	}
	panic(fmt.Sprintf("api: no schema for %v", t))
}

// document is the schema of a struct.
func (d *describer) document(t reflect.Type) object {
	if t == valueType {
		one := func(key, text string) object {
			return object{"type": "object", "required": []string{key}, "properties": object{key: object{"type": "string", "description": text}}, "additionalProperties": false}
		}
		return object{
			"description": "An R value: JSON, or one of three forms of an object with a single key.",
			"anyOf": []any{one("$r", "Base64 of R's serialize()."), one("$ref", "Reference of PUT /v1/values."), one("$task", "Id of a task or job whose result it is."),
				object{"description": "JSON, by the rules of jsonlite."}},
		}
	}
	properties, required := object{}, []string{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		schema := d.schema(f.Type)
		if enum := f.Tag.Get("enum"); enum != "" {
			schema["enum"] = strings.Split(enum, "|")
		}
		if text := f.Tag.Get("doc"); text != "" {
			schema["description"] = text // beside $ref too, in 3.1
		}
		properties[name] = schema
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	out := object{"type": "object", "properties": properties}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}
