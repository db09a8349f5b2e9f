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

// answer sends what R answered.
func (a *API) answer(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, p *rpool.HTTPResponse) {
	if p.Status < 200 || p.Status > 999 { // httpuv sends these and leaves the client waiting
		removeOwned(p)
		a.o.Fault.Write(w, r, fault.New(http.StatusInternalServerError, "status", "the API answered with the status "+strconv.Itoa(p.Status)))
		return
	}
	if cond := takeCondition(p); cond != nil {
		x.Err = cond
		if a.o.Fault.Details && wantsPage(r) {
			removeOwned(p)
			a.o.Fault.Write(w, r, &fault.Fault{Status: p.Status, Reason: "r_error", Message: "an R error", Err: cond})
			return
		}
	}
	if p.File == "" {
		write(w, r, p)
		return
	}
	defer removeOwned(p)
	f, err := p.Open()
	if err != nil {
		a.o.Fault.Write(w, r, &fault.Fault{Status: http.StatusInternalServerError, Reason: "file", Message: "the file that the API answered with cannot be read", Err: err})
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New(p.File + " is not a file")
	}
	if err != nil {
		a.o.Fault.Write(w, r, &fault.Fault{Status: http.StatusInternalServerError, Reason: "file", Message: "the file that the API answered with cannot be read", Err: err})
		return
	}
	if head(w, r, p, info.Size()) {
		io.CopyN(w, f, info.Size()) // who reads it has gone, if this fails
	}
}

func removeOwned(p *rpool.HTTPResponse) {
	if p.Owned {
		os.Remove(p.File)
	}
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
