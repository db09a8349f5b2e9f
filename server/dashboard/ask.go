package dashboard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/rpipe-dev/rpipe/tasks/api"
)

// answer is what the API says to a request of this package.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

// Flush makes it an http.Flusher, which streams want.
func (a *answer) Flush() {}

// inner is a request to the API as who sends r.
func inner(r *http.Request, method, path string, query url.Values, in any) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	at := &url.URL{Path: path, RawQuery: query.Encode()}
	if plain, err := url.PathUnescape(path); err == nil && plain != path { // a slash in a name is written %2F
		at.Path, at.RawPath = plain, path
	}
	target := at.String()
	out, err := http.NewRequestWithContext(r.Context(), method, target, body)
	if err != nil {
		return nil, err
	}
	out.Host, out.RemoteAddr, out.RequestURI = r.Host, r.RemoteAddr, target
	out.Header.Set("Accept", api.JSON)
	if in != nil {
		out.Header.Set("Content-Type", api.JSON)
	}
	return out, nil
}

// ask asks the API. Its refusal is a *api.Fault.
func (d *Dashboard) ask(r *http.Request, method, path string, query url.Values, in, out any) error {
	req, err := inner(r, method, path, query, in)
	if err != nil {
		return err
	}
	a := &answer{header: http.Header{}}
	d.o.API.ServeHTTP(a, req)
	return a.decode(method+" "+path, out)
}

func (a *answer) decode(what string, out any) error {
	if a.status >= 400 {
		f := &api.Fault{Status: a.status}
		if err := json.Unmarshal(a.body.Bytes(), f); err != nil || f.Message == "" {
			f.Message = fmt.Sprintf("the server answered %d", a.status)
		}
		f.Status = a.status
		return f
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body.Bytes(), out); err != nil {
		return fmt.Errorf("the answer to %s: %w", what, err)
	}
	return nil
}

// get asks the API for a document.
func (d *Dashboard) get(r *http.Request, path string, query url.Values, out any) error {
	return d.ask(r, http.MethodGet, path, query, nil, out)
}

// lines asks the API for a log, and returns its last lines; more says that there were
// others before.
func (d *Dashboard) lines(r *http.Request, path string, most int) (last []api.LogLine, more bool, err error) {
	req, err := inner(r, http.MethodGet, path, nil, nil)
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Accept", api.Lines)
	a := &answer{header: http.Header{}}
	d.o.API.ServeHTTP(a, req)
	if err := a.decode("GET "+path, nil); err != nil {
		return nil, false, err
	}
	dec := json.NewDecoder(&a.body)
	for {
		var l api.LogLine
		if err := dec.Decode(&l); err == io.EOF {
			return last, more, nil
		} else if err != nil {
			return nil, false, fmt.Errorf("the log %s: %w", path, err)
		}
		if last = append(last, l); len(last) > 2*most {
			last, more = append(last[:0], last[len(last)-most:]...), true
		}
	}
}

// pass has the API answer itself, as a file to be saved.
func (d *Dashboard) pass(w http.ResponseWriter, r *http.Request, path, accept, name string) {
	req, err := inner(r, http.MethodGet, path, nil, nil)
	if err != nil {
		d.fault(w, r, err)
		return
	}
	req.Header.Set("Accept", accept)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	d.o.API.ServeHTTP(w, req)
}

func notFound(message string) error {
	return &api.Fault{Status: http.StatusNotFound, Code: "not_found", Message: message}
}

func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Add(pairs[i], pairs[i+1])
		}
	}
	return q
}
