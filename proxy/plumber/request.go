package plumber

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/rpool"
)

// path is the request's path below the prefix as the client sent it, still
// percent-encoded: plumber matches routes against that.
func (a *API) path(r *http.Request) string {
	sent, _, _ := strings.Cut(r.RequestURI, "?")
	if rest, ok := strings.CutPrefix(sent, a.o.Prefix); ok && strings.HasPrefix(rest, "/") {
		if rest == r.URL.Path {
			return rest
		}
		// Whoever stands before may have changed the URL.
		if plain, err := url.PathUnescape(rest); err == nil && plain == r.URL.Path {
			return rest
		}
	}
	if p := r.URL.EscapedPath(); p != "" {
		return p
	}
	return "/"
}

// bodyOf is the request's body. The front has read it; without one it is read here.
func bodyOf(x *exchange.Exchange, r *http.Request) (*exchange.Body, error) {
	if x.Body != nil {
		return x.Body, nil
	}
	if r.Body == nil {
		return &exchange.Body{}, nil
	}
	data, err := io.ReadAll(r.Body)
	return &exchange.Body{Data: data, Size: int64(len(data))}, err
}

// request is what httpuv would hand to plumber, less what it takes from the
// connection.
func (a *API) request(r *http.Request, x *exchange.Exchange, path string, body *exchange.Body) *rpool.HTTPRequest {
	query := ""
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		query = "?" + r.URL.RawQuery
	}
	server, port := hostOf(r, x.Scheme)
	client, clientPort := clientOf(r, x)
	q := &rpool.HTTPRequest{Vars: make([]rpool.Field, 0, 24), Headers: make([]rpool.Field, 0, 16)}
	set := func(name, value string) { q.Vars = append(q.Vars, rpool.Field{Name: name, Value: value}) }
	set("REQUEST_METHOD", r.Method)
	set("SCRIPT_NAME", a.o.Prefix)
	set("PATH_INFO", path)
	set("QUERY_STRING", query)
	set("SERVER_NAME", server)
	set("SERVER_PORT", port)
	set("REMOTE_ADDR", client)
	set("REMOTE_PORT", clientPort)
	set("rook.url_scheme", x.Scheme)
	for _, h := range headersOf(r, body.Size) {
		q.Headers = append(q.Headers, h)
		name := variable(h.Name)
		set("HTTP_"+name, h.Value)
		if name == "CONTENT_TYPE" || name == "CONTENT_LENGTH" {
			set(name, h.Value)
		}
	}
	switch {
	case body.File != nil:
		q.File = body.File.Name()
	case len(body.Data) > 0:
		q.Body = body.Data
	}
	return q
}

// hopByHop are headers between a client and the next server alone, RFC 9110 §7.6.1.
var hopByHop = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// headersOf are the request's headers as httpuv gives them: each name once, in
// lower case and in order.
func headersOf(r *http.Request, size int64) []rpool.Field {
	fields := make([]rpool.Field, 0, len(r.Header)+2)
	fields = append(fields, rpool.Field{Name: "host", Value: r.Host})
	if size > 0 || r.Header["Content-Length"] != nil {
		fields = append(fields, rpool.Field{Name: "content-length", Value: strconv.FormatInt(size, 10)})
	}
	hops := r.Header["Connection"]
	for name, values := range r.Header {
		if name == "Content-Length" || name == "Host" || slices.Contains(hopByHop, name) || named(hops, name) {
			continue
		}
		separator := ","
		if name == "Cookie" { // HTTP/2 sends one header for each
			separator = "; "
		}
		fields = append(fields, rpool.Field{Name: strings.ToLower(name), Value: strings.ReplaceAll(strings.Join(values, separator), "\x00", "")})
	}
	slices.SortFunc(fields, func(a, b rpool.Field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// named reports whether a Connection header names another.
func named(hops []string, name string) bool {
	for _, list := range hops {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), name) {
				return true
			}
		}
	}
	return false
}

// variable is a header's name in HTTP_*.
func variable(lower string) string {
	b := []byte(lower)
	for i, c := range b {
		switch {
		case c == '-':
			b[i] = '_'
		case 'a' <= c && c <= 'z':
			b[i] = c - ('a' - 'A')
		}
	}
	return string(b)
}

// hostOf is the server as the client named it.
func hostOf(r *http.Request, scheme string) (name, port string) {
	if name, port, err := net.SplitHostPort(r.Host); err == nil {
		return name, port
	}
	if scheme == "https" {
		return r.Host, "443"
	}
	return r.Host, "80"
}

// clientOf is who asks; without a front who is connected.
func clientOf(r *http.Request, x *exchange.Exchange) (addr, port string) {
	if x.Client.IsValid() {
		return x.Client.Unmap().String(), x.Port
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().Unmap().String(), strconv.Itoa(int(at.Port()))
	}
	return "", ""
}
