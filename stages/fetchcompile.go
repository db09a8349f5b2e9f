package stages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/ndjson"
	"github.com/rpipe-dev/rpipe/webapi"
)

// compiledRequest is a request whose templates and paths have been read.
type compiledRequest struct {
	*fetchRequest
	url     *webapi.Template
	params  []namedTemplate
	headers []namedTemplate
	body    *webapi.Template // nil for none
	key     *webapi.Template
	accept  webapi.Statuses
	refs    []fetchRef // what the templates' places stand for, by Place.Ref
	columns []responseColumn
	each    *ndjson.Path // nil for none
	wanted  bool         // a later request uses the answer
}

type namedTemplate struct {
	name  string
	value *webapi.Template
}

// fetchRef is what stands between braces: a column, or a value in an earlier answer.
type fetchRef struct {
	field   string // of the configuration
	column  string
	request int // number of the earlier request; -1 for a column
	path    ndjson.Path
}

// compile reads all requests.
func (c *Fetch) compile() ([]*compiledRequest, error) {
	var out []*compiledRequest
	for _, r := range c.requests() {
		one, err := r.compile(c, earlier(c, r))
		if err != nil {
			return nil, fmt.Errorf("%s%w", r.path, err)
		}
		out = append(out, one)
	}
	for _, r := range out {
		for _, ref := range r.refs {
			if ref.request >= 0 {
				out[ref.request].wanted = true
			}
		}
	}
	return out, nil
}

// compile reads one request; the text of an error begins with the key that it is
// about and a colon.
func (r *fetchRequest) compile(c *Fetch, before []string) (*compiledRequest, error) {
	out := &compiledRequest{fetchRequest: r}
	read := func(field, text string, kind webapi.Kind) (*webapi.Template, error) {
		t, err := webapi.ParseTemplate(text, kind)
		if err == nil {
			err = out.refer(c, field, t, before)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		return t, nil
	}
	var err error
	if out.url, err = read("url", r.URL, webapi.URL); err != nil {
		return nil, err
	}
	if err := checkURL(r.URL, out.url); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	for _, p := range r.Params {
		t, err := read("params."+p.Name, p.Value, webapi.Query)
		if err != nil {
			return nil, err
		}
		out.params = append(out.params, namedTemplate{url.QueryEscape(p.Name), t})
	}
	for _, h := range slices.Concat(c.Headers, r.headers) {
		t, err := read("headers."+h.Name, h.Value, webapi.Header)
		if err != nil {
			return nil, err
		}
		name := http.CanonicalHeaderKey(h.Name)
		out.headers = slices.DeleteFunc(out.headers, func(o namedTemplate) bool { return o.name == name })
		out.headers = append(out.headers, namedTemplate{name, t})
	}
	if r.IdempotencyKey != "" {
		if out.key, err = read("idempotency_key", r.IdempotencyKey, webapi.Header); err != nil {
			return nil, err
		}
	}
	if err := out.readBody(c, before); err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if out.accept, err = webapi.ParseStatuses(r.Accept); err != nil {
		return nil, fmt.Errorf("accept: %w", err)
	}
	if out.columns, err = r.Response.columns(); err != nil {
		return nil, err
	}
	if r.Response.Each != "" {
		each, err := responsePath(r.Response.Each)
		if err != nil {
			return nil, fmt.Errorf("response.each: %w", err)
		}
		out.each = &each
	}
	return out, nil
}

// checkURL finds what is wrong with a URL whatever its values are.
func checkURL(text string, t *webapi.Template) error {
	if strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "{{") {
		return nil // its values begin it
	}
	if !strings.HasPrefix(text, "http://") && !strings.HasPrefix(text, "https://") {
		return errors.New("does not begin with http:// or https://")
	}
	if t.Open() {
		return nil
	}
	fixed, _, _ := strings.Cut(text, "{")
	u, err := url.Parse(fixed)
	switch {
	case err != nil:
		var e *url.Error
		if errors.As(err, &e) {
			err = e.Err
		}
		return err
	case u.Host == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("has credentials in it; say auth: {basic: {user: …, password: …}}")
	}
	return nil
}

// readBody makes the body's template, and says what it is in Content-Type.
func (r *compiledRequest) readBody(c *Fetch, before []string) (err error) {
	declared := ""
	for _, h := range slices.Concat(c.Headers, r.fetchRequest.headers) {
		if strings.EqualFold(h.Name, "Content-Type") {
			declared = h.Value
		}
	}
	kind := "application/json"
	switch body := r.Body.(type) {
	case nil:
		return nil
	case string:
		start := strings.TrimSpace(body)
		json := strings.Contains(declared, "json") || declared == "" && (strings.HasPrefix(start, "{{") || strings.HasPrefix(start, "["))
		if json {
			r.body, err = webapi.ParseTemplate(body, webapi.JSON)
		} else {
			kind = "text/plain; charset=utf-8"
			r.body, err = webapi.ParseTemplate(body, webapi.Text)
		}
	case configs.Object, []any:
		r.body, err = webapi.JSONTemplate(body)
	default:
		return errors.New("must be a mapping, a list or a text")
	}
	if err == nil {
		err = r.refer(c, "body", r.body, before)
	}
	if err == nil && declared == "" {
		t, _ := webapi.ParseTemplate(kind, webapi.Header)
		r.headers = append(r.headers, namedTemplate{"Content-Type", t})
	}
	return err
}

// refer finds out what the places of a template stand for.
func (r *compiledRequest) refer(c *Fetch, field string, t *webapi.Template, before []string) error {
	for _, p := range t.Places() {
		ref := fetchRef{field: field, column: p.Name, request: -1}
		name, rest := p.Name, ""
		if i := strings.IndexAny(p.Name, ".["); i >= 0 {
			name, rest = p.Name[:i], strings.TrimPrefix(p.Name[i:], ".")
		}
		if i := slices.Index(before, name); i >= 0 {
			path, err := ndjson.ParsePath(rest)
			if err != nil {
				return fmt.Errorf("{%s}: %w", p.Name, err)
			}
			ref = fetchRef{request: i, path: path}
		} else if slices.ContainsFunc(c.Requests, func(o NamedRequest) bool { return o.Name == name }) {
			return fmt.Errorf("{%s}: the request %s does not come before this one", p.Name, name)
		}
		p.Ref = len(r.refs)
		r.refs = append(r.refs, ref)
	}
	return nil
}

// resolve finds the columns of a schema that the request takes: by ref, -1 where
// it is none, and that of when.
func (r *compiledRequest) resolve(s *frame.Schema) (refs []int, when int, err error) {
	empty := frame.Empty(s)
	find := func(field, column string) (int, error) {
		if _, err := frame.Select(empty, []string{column}); err != nil {
			return 0, fmt.Errorf("%s: %w", field, err)
		}
		return s.FieldIndices(column)[0], nil
	}
	refs, when = make([]int, len(r.refs)), -1
	for i, ref := range r.refs {
		if refs[i] = -1; ref.request < 0 {
			if refs[i], err = find(ref.field, ref.column); err != nil {
				return nil, 0, err
			}
		}
	}
	if r.When == "" {
		return refs, -1, nil
	}
	if when, err = find("when", r.When); err != nil {
		return nil, 0, err
	}
	if f := s.Field(when); frame.KindOf(f) != frame.KindBool {
		return nil, 0, fmt.Errorf("when: column %q is %s, and must be bool", r.When, frame.TypeName(f))
	}
	return refs, when, nil
}
