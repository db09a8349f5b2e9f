package plumber

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/rpool"
)

// answer sends what R answered. home says that documentation is better than
// nothing.
func (a *API) answer(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, p *rpool.HTTPResponse, home bool) {
	file, size, err := fileOf(p)
	if file != nil {
		defer file.Close()
	}
	if p.Owned {
		defer os.Remove(p.File)
	}
	cond := takeCondition(p)
	switch {
	case home && p.Status == http.StatusNotFound:
		a.redirect(w)
		return
	case err != nil:
		a.o.Fault.Write(w, r, &fault.Fault{Status: http.StatusInternalServerError, Reason: "file", Message: "the file that the API answered with cannot be read", Err: err})
		return
	case p.Status < 200 || p.Status > 999: // httpuv sends these and leaves the client waiting
		a.o.Fault.Write(w, r, fault.New(http.StatusInternalServerError, "status", "the API answered with the status "+strconv.Itoa(p.Status)))
		return
	case cond != nil && a.o.Fault.Details && wantsPage(r):
		a.o.Fault.Write(w, r, &fault.Fault{Status: p.Status, Reason: "r_error", Message: "an R error", Err: cond})
		return
	case cond != nil:
		x.Err = cond
	}
	if file == nil {
		write(w, r, p)
	} else if head(w, r, p, size) {
		io.CopyN(w, file, size) // who reads it has gone, if this fails
	}
}

// fileOf opens an answer's body where it is a file. It is to be closed even with
// an error.
func fileOf(p *rpool.HTTPResponse) (*os.File, int64, error) {
	if p.File == "" {
		return nil, 0, nil
	}
	f, err := p.Open()
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return f, 0, err
	}
	if !info.Mode().IsRegular() {
		return f, 0, errors.New(p.File + " is not a file")
	}
	return f, info.Size(), nil
}

// write sends an answer whose body is in memory.
func write(w http.ResponseWriter, r *http.Request, p *rpool.HTTPResponse) {
	if head(w, r, p, int64(len(p.Body))) {
		w.Write(p.Body)
	}
}

// head sends status and headers of an answer with a body of size bytes, and
// reports whether the body is to follow. Headers keep the names that R gave them.
// Content-Length is the body's, whatever R says, save in answers to HEAD, which
// R may have made without a body.
func head(w http.ResponseWriter, r *http.Request, p *rpool.HTTPResponse, size int64) (body bool) {
	h := w.Header()
	var own [2]bool // R has set Content-Type, Date
	length := strconv.FormatInt(size, 10)
	for _, f := range p.Headers {
		canonical := http.CanonicalHeaderKey(f.Name)
		switch {
		case !httpguts.ValidHeaderFieldName(f.Name), slices.Contains(hopByHop, canonical), strings.HasPrefix(canonical, http.TrailerPrefix):
			continue
		case canonical == "Content-Length":
			if n, err := strconv.ParseFloat(f.Value, 64); err == nil && n >= 0 && n < 1<<53 && r.Method == http.MethodHead && size == 0 {
				length = strconv.FormatInt(int64(n), 10)
			}
			continue
		case canonical == "Content-Type":
			own[0] = own[0] || f.Name == canonical
		case canonical == "Date":
			own[1] = true
			if f.Name != canonical {
				h[canonical] = nil
			}
		}
		h[f.Name] = append(h[f.Name], clean(f.Value))
	}
	if !own[0] {
		h["Content-Type"] = nil // or Go makes one up
	}
	empty := p.Status == http.StatusNoContent || p.Status == http.StatusNotModified
	if !empty {
		h["Content-Length"] = []string{length}
	}
	w.WriteHeader(p.Status)
	return !empty && r.Method != http.MethodHead
}

// clean is a header's value without what would end it or start another.
func clean(value string) string {
	if httpguts.ValidHeaderFieldValue(value) {
		return value
	}
	b := []byte(value)
	for i, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			b[i] = ' '
		}
	}
	return strings.TrimSpace(string(b))
}
