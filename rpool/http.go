package rpool

import (
	"errors"
	"strings"

	"github.com/rpipe-dev/rpipe/rdata"
)

// HTTPRequest is what an Environment's Handler is called with: a Rook request,
// https://github.com/jeffreyhorner/Rook/blob/master/man/Rook-package.Rd, with the
// variables that httpuv 1.6 sets. Texts that are not UTF-8 reach R as bytes of
// unknown encoding.
type HTTPRequest struct {
	Vars    []Field // REQUEST_METHOD, PATH_INFO, HTTP_ACCEPT …: variables of the request's environment
	Headers []Field // req$HEADERS: names in lower case, each once
	Body    []byte  // nil for none, and where it is in a file
	File    string  // the body, where it is not in memory; the worker only reads it
}

// Field is a name and its value.
type Field struct{ Name, Value string }

// HTTPResponse is what a Handler answered.
type HTTPResponse struct {
	Status  int
	Headers []Field // in order; names may repeat
	Body    []byte
	// File is the body where the handler answered with c(file = path): absolute, and to
	// be read by the caller. Owned says that it is to be removed then.
	File  string
	Owned bool
}

// encodeHTTP writes a request for http() in http.R.
func encodeHTTP(e *rdata.Encoder, r *HTTPRequest) splice {
	begin(e, 6)
	names, values := make([]string, len(r.Vars)), make([]string, len(r.Vars))
	for i, f := range r.Vars {
		names[i], values[i] = f.Name, f.Value
	}
	e.Strs(names...)
	e.Strs(values...)
	names, values = names[:0], values[:0]
	for _, f := range r.Headers {
		names, values = append(names, f.Name), append(values, f.Value)
	}
	e.Strs(names...)
	e.Strs(values...)
	e.Strs(r.File)
	if r.Body == nil {
		e.Null()
		return finish(e, nil)
	}
	e.VectorHead(rdata.KindRaw, len(r.Body), false, false)
	return finish(e, r.Body)
}

// decodeHTTP reads the value of an HTTP request's reply: list(status, names,
// values, file, owned, raw body or NULL).
func decodeHTTP(data []byte) (*HTTPResponse, error) {
	p := items{b: data}
	if p.head(rdata.KindList) != 6 || p.err != nil {
		return nil, errReply
	}
	var r HTTPResponse
	r.Status = p.integer()
	names, values := p.strings(), p.strings()
	if len(names) != len(values) {
		return nil, errReply
	}
	r.Headers = make([]Field, len(names))
	for i := range names {
		r.Headers[i] = Field{names[i], values[i]}
	}
	r.File = p.text()
	r.Owned = p.integer() != 0
	r.Body = p.bytes(uint64(p.head(rdata.KindRaw)))
	return &r, p.err
}

// check finds what R has no string for.
func (r *HTTPRequest) check() error {
	if r == nil {
		return errors.New("rpool: HTTP request without a request")
	}
	for _, list := range [][]Field{r.Vars, r.Headers} {
		for _, f := range list {
			if strings.IndexByte(f.Name, 0) >= 0 || strings.IndexByte(f.Value, 0) >= 0 {
				return rdata.ErrNUL
			}
		}
	}
	return nil
}
