package sources

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/webapi"
)

// apiRequest is what the requests for all pages have in common.
type apiRequest struct {
	method  string
	url     *webapi.Template
	params  []namedTemplate
	headers []namedTemplate
	body    *webapi.Template // nil for none
	kind    string           // the body's Content-Type
	since   string           // the parameter that takes the cursor
	key     string           // the parameter that has the API key
	home    bool             // what goes along may be secret, and is for the host of url alone
}

type namedTemplate struct {
	name  string
	value *webapi.Template
}

// request reads the templates. The text of an error begins with the field that
// it is about.
func (h *HTTP) request() (*apiRequest, error) {
	r := &apiRequest{method: h.Method, home: h.confidential()}
	if r.method == "" {
		r.method = http.MethodGet
	}
	var err error
	if r.url, err = webapi.ParseTemplate(h.URL, webapi.URL); err == nil {
		err = fixedHost(h.URL, r.url)
	}
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	if r.params, err = namedTemplates(h.Params, webapi.Query); err != nil {
		return nil, fmt.Errorf("params: %w", err)
	}
	if r.headers, err = namedTemplates(h.Headers, webapi.Header); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	switch body := h.Body.(type) {
	case nil:
	case string:
		r.kind = "text/plain; charset=utf-8"
		r.body, err = webapi.ParseTemplate(body, webapi.Text)
	case configs.Object, []any:
		r.kind = "application/json"
		r.body, err = webapi.JSONTemplate(body)
	default:
		err = errors.New("must be a mapping, a list or a text")
	}
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	if h.Since != nil {
		r.since = h.Since.Param
	}
	if h.Auth != nil && h.Auth.APIKey != nil && h.Auth.APIKey.In == "query" {
		r.key = h.Auth.APIKey.Name
	}
	return r, nil
}

// fixedHost refuses URLs that are none whatever the cursor is.
func fixedHost(text string, t *webapi.Template) error {
	fixed, _, _ := strings.Cut(text, "{")
	u, err := url.Parse(fixed)
	switch {
	case t.Open():
		return errors.New("the host must be written out")
	case err != nil:
		return errors.Unwrap(err)
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("does not begin with http:// or https://")
	case u.Host == "":
		return errors.New("has no host")
	case u.User != nil:
		return errors.New("has credentials in it; say auth: {basic: {user: …, password: …}}")
	}
	return nil
}

func namedTemplates(pairs configs.Pairs, kind webapi.Kind) (out []namedTemplate, err error) {
	for _, p := range pairs {
		t, err := webapi.ParseTemplate(p.Value, kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		out = append(out, namedTemplate{p.Name, t})
	}
	return out, nil
}

// places are where values go.
func (r *apiRequest) places() []*webapi.Place {
	all := r.url.Places()
	for _, t := range slices.Concat(r.params, r.headers) {
		all = append(all, t.value.Places()...)
	}
	if r.body != nil {
		all = append(all, r.body.Places()...)
	}
	return all
}

// make is the request for a page, asked from a cursor on.
func (r *apiRequest) make(p *pager, at page, cursor string) (*webapi.Request, error) {
	values := cursorValue(cursor)
	out := &webapi.Request{Method: r.method, Header: http.Header{}, Idempotent: true}
	for _, h := range r.headers {
		text, err := h.value.Append(nil, values)
		if err != nil {
			return nil, fmt.Errorf("headers.%s: %w", h.name, err)
		}
		out.Header.Set(h.name, string(text))
	}
	var err error
	if r.body != nil {
		if out.Body, err = r.body.Append(nil, values); err != nil {
			return nil, fmt.Errorf("body: %w", err)
		}
		if out.Header.Get("Content-Type") == "" {
			out.Header.Set("Content-Type", r.kind)
		}
	}
	params := p.params(at)
	if p.In == "body" && len(params) > 0 {
		if out.Body, err = withMembers(out.Body, params); err != nil {
			return nil, fmt.Errorf("paginate: %w", err)
		}
		out.Header.Set("Content-Type", "application/json")
		params = nil
	}
	if at.URL != "" { // a link is a whole request
		out.URL = at.URL
		return out, nil
	}
	query, err := r.query(values)
	if err != nil {
		return nil, err
	}
	for _, q := range params {
		query = append(query, url.QueryEscape(q.name)+"="+url.QueryEscape(q.value))
	}
	text, err := r.url.Append(nil, values)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	out.URL = string(text)
	if len(query) > 0 {
		joint := "?"
		if strings.Contains(out.URL, "?") {
			joint = "&"
		}
		out.URL += joint + strings.Join(query, "&")
	}
	return out, nil
}

// query is the parameters that the settings name.
func (r *apiRequest) query(values cursorValue) (query []string, err error) {
	for _, p := range r.params {
		if p.value.Only() && values == "" && p.value.Places()[0].Default == "" && p.value.Places()[0].Optional {
			continue
		}
		text, err := p.value.Append(nil, values)
		if err != nil {
			return nil, fmt.Errorf("params.%s: %w", p.name, err)
		}
		query = append(query, url.QueryEscape(p.name)+"="+string(text))
	}
	if r.since != "" && values != "" {
		query = append(query, url.QueryEscape(r.since)+"="+url.QueryEscape(string(values)))
	}
	return query, nil
}

// confidential reports whether requests have more than a URL: credentials, or
// headers and bodies, which may hold such. The client keeps them from redirects
// to other hosts, too.
func (h *HTTP) confidential() bool {
	if h.Auth != nil || h.Body != nil || h.TLS.CertFile != "" {
		return true
	}
	return slices.ContainsFunc(h.Headers, func(p configs.Pair) bool {
		return !slices.Contains([]string{"Accept", "Accept-Language", "User-Agent"}, http.CanonicalHeaderKey(p.Name))
	})
}

// follow is the URL of a link in the answer to a request. It must lead to the
// same host where something confidential goes along; the key that the client adds to each
// request is taken off, so that it is on no record.
func (r *apiRequest) follow(from, link string) (string, error) {
	base, err := url.Parse(from)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(link)
	if err != nil {
		return "", fmt.Errorf("the link to the next page is no URL: %w", err)
	}
	if base.Host == u.Host && base.Scheme == "https" && u.Scheme == "http" {
		u.Scheme = "https" // what a server says that does not know of the TLS before it
	}
	if r.home && (u.Host != base.Host || u.Scheme != base.Scheme) {
		return "", fmt.Errorf("the next page is at %s, and the credentials, headers and body are for %s alone", u.Host, base.Host)
	}
	if r.key != "" {
		query := u.Query()
		query.Del(r.key)
		u.RawQuery = query.Encode()
	}
	return u.String(), nil
}

// cursorValue fills {cursor}; "" is none.
type cursorValue string

// Text implements webapi.Values.
func (v cursorValue) Text(dst []byte, _ *webapi.Place) ([]byte, bool) {
	return append(dst, v...), v != ""
}

// JSON implements webapi.Values. What looks like a number is one.
func (v cursorValue) JSON(dst []byte, _ *webapi.Place) ([]byte, bool) {
	if v == "" {
		return dst, false
	}
	if _, ok := frame.ParseDouble([]byte(v)); ok && json.Valid([]byte(v)) {
		return append(dst, v...), true
	}
	return frame.AppendQuoted(dst, string(v)), true
}

// withMembers sets members of a JSON object, whose names are paths of keys.
func withMembers(body []byte, members []param) ([]byte, error) {
	document := map[string]any{}
	if len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&document); err != nil {
			return nil, fmt.Errorf("in: body needs a JSON object as body: %w", err)
		}
	}
	for _, m := range members {
		keys := strings.Split(m.name, ".")
		at := document
		for _, key := range keys[:len(keys)-1] {
			inner, ok := at[key].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[key] = inner
			}
			at = inner
		}
		at[keys[len(keys)-1]] = m.json()
	}
	return json.Marshal(document)
}
