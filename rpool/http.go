package rpool

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"unicode/utf8"
	"unsafe"

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
	File    string  // the body, where it is not in memory; the worker only reads it, or gets its bytes where Environment.User may not
}

// Field is a name and its value.
type Field struct{ Name, Value string }

// HTTPResponse is what a Handler answered.
type HTTPResponse struct {
	Status  int
	Headers []Field // in order; names may repeat
	Body    []byte
	// File is the body where the handler answered with c(file = path): absolute, and to
	// be read by the caller, see Open. Owned says that it is to be removed then.
	File  string
	Owned bool

	opened *os.File // File
}

// Open opens File. It has been opened already while the worker stood: a file in
// R's temporary directory goes with the worker, which may end at any time after
// it has answered. So call it once, and close what it returns.
func (r *HTTPResponse) Open() (*os.File, error) {
	if f := r.opened; f != nil {
		r.opened = nil
		return f, nil
	}
	return os.Open(r.File)
}

// encodeHTTP writes a request for http() in http.R: list(named list, named
// character vector, file, raw or NULL). Unlike a map's it ends with plain bytes,
// so it may hold symbols.
func encodeHTTP(e *rdata.Encoder, r *HTTPRequest) splice {
	begin(e, 4)
	e.VectorHead(rdata.KindList, len(r.Vars), false, true)
	for _, f := range r.Vars {
		e.VectorHead(rdata.KindCharacter, 1, false, false)
		encodeBytes(e, f.Value)
	}
	encodeNames(e, r.Vars)
	e.VectorHead(rdata.KindCharacter, len(r.Headers), false, true)
	for _, f := range r.Headers {
		encodeBytes(e, f.Value)
	}
	encodeNames(e, r.Headers)
	e.Strs(r.File)
	if r.Body == nil {
		e.Null()
		return finish(e, nil)
	}
	e.VectorHead(rdata.KindRaw, len(r.Body), false, false)
	return finish(e, r.Body)
}

// encodeNames writes the attribute "names", the last.
func encodeNames(e *rdata.Encoder, fields []Field) {
	e.Attr("names")
	e.VectorHead(rdata.KindCharacter, len(fields), false, false)
	for _, f := range fields {
		encodeBytes(e, f.Name)
	}
	e.EndAttrs()
}

// charsxp is the head of a string of unknown encoding.
const charsxp = 9

// encodeBytes writes a string, as bytes of unknown encoding where it is not UTF-8.
func encodeBytes(e *rdata.Encoder, s string) {
	if utf8.ValidString(s) {
		e.Str(unsafe.Slice(unsafe.StringData(s), len(s)))
		return
	}
	var head [8]byte
	binary.LittleEndian.PutUint32(head[:], charsxp)
	binary.LittleEndian.PutUint32(head[4:], uint32(len(s)))
	e.Bytes(head[:])
	e.Bytes([]byte(s))
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
	names, values := p.rawStrings(), p.rawStrings()
	if len(names) != len(values) {
		return nil, errReply
	}
	r.Headers = make([]Field, len(names))
	for i := range names {
		r.Headers[i] = Field{names[i], values[i]}
	}
	r.File = strings.Join(p.rawStrings(), "")
	r.Owned = p.integer() != 0
	r.Body = p.bytes(uint64(p.head(rdata.KindRaw)))
	if p.err == nil && r.File != "" {
		r.opened, _ = os.Open(r.File) // Open tells why not
	}
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
