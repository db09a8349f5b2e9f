package front

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
)

// Guard makes what stands before an API. The paths of its routes are those that it
// sees: below the API's own where that was stripped. What it counts and remembers
// begins anew with each guard; it holds nothing that has to be closed.
func (f *Front) Guard(p *Policy) (func(next http.Handler) http.Handler, error) {
	if p.NeedsTokens() && f.deps.Tokens == nil {
		return nil, errors.New("auth: bearer: there is no token store")
	}
	none := &rules{f: f, open: true, policy: p}
	main, err := none.with(&Route{Auth: p.Auth, Allow: p.Allow, CORS: p.CORS, RateLimit: p.RateLimit, MaxBody: &p.MaxBody})
	if err != nil {
		return nil, err
	}
	routes := make([]*rules, len(p.Routes))
	for i := range p.Routes {
		if routes[i], err = main.with(&p.Routes[i]); err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
	}
	outgoing, err := f.outgoing(p)
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return func(next http.Handler) http.Handler {
		inner := outgoing(next)
		usual := main.handler(inner)
		if len(routes) == 0 {
			return usual
		}
		handlers := make([]http.Handler, len(routes))
		for i, r := range routes {
			handlers[i] = r.handler(inner)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// What is behind may or may not resolve /a/../b, or take %2F for a slash:
			// the rules are to be the same either way, or nobody could tell which hold.
			at := match(p.Routes, r.Method, r.URL.Path)
			for _, path := range readings(r.URL) {
				if match(p.Routes, r.Method, path) != at {
					f.deps.Fault.Write(w, r, fault.New(http.StatusBadRequest, "ambiguous_path", "the path has /../, /./, //, %2F or a backslash in it"))
					return
				}
			}
			if at < 0 {
				usual.ServeHTTP(w, r)
				return
			}
			handlers[at].ServeHTTP(w, r)
		})
	}, nil
}

// match is the first route for a path, -1 for none.
func match(routes []Route, method, path string) int {
	for i := range routes {
		if routes[i].match(method, path) {
			return i
		}
	}
	return -1
}

func (r *Route) match(method, path string) bool {
	if len(r.Methods) > 0 {
		found := false
		for _, m := range r.Methods {
			found = found || m == method || m == http.MethodGet && method == http.MethodHead
		}
		if !found {
			return false
		}
	}
	if begin, prefix := strings.CutSuffix(r.Path, "*"); prefix {
		return strings.HasPrefix(path, begin)
	}
	return path == r.Path || strings.TrimSuffix(path, "/") == r.Path
}

// readings are paths that others may take u's for.
func readings(u *url.URL) []string {
	all := []string{clean(u.Path)}
	if strings.Contains(u.Path, `\`) { // a slash to Windows
		all = append(all, clean(strings.ReplaceAll(u.Path, `\`, "/")))
	}
	// plumber matches the path as it was sent: %2F is no slash to it.
	if kept := keepSlashes.Replace(u.RawPath); kept != u.RawPath {
		if p, err := url.PathUnescape(kept); err == nil {
			all = append(all, p)
		}
	}
	return all
}

var keepSlashes = strings.NewReplacer("%2F", "%252F", "%2f", "%252F")

// clean resolves a path, and keeps the slash at its end.
func clean(p string) string {
	c := path.Clean("/" + p)
	if strings.HasSuffix(p, "/") && c != "/" {
		c += "/"
	}
	return c
}

// rules are those of one route, or of all that is in none.
type rules struct {
	f       *Front
	allow   networks
	open    bool // from everywhere
	auth    *authority
	limit   *limiter
	byOwner bool
	cors    func(http.Handler) http.Handler
	policy  *Policy
	maxBody int64 // -1 for no limit
}

// with are the rules with what a route says in their place. What it leaves out is
// shared: a client has one rate, and a password is known, wherever it asks.
func (g *rules) with(r *Route) (*rules, error) {
	own := *g
	if r.Auth != nil {
		own.auth = nil
		if !r.Auth.Public {
			own.auth = newAuthority(r.Auth, g.f.deps.Tokens)
		}
	}
	if r.Allow != nil {
		own.allow, own.open = flatten(r.Allow), len(r.Allow) == 0
	}
	if r.CORS != nil {
		own.cors = r.CORS.middleware()
	}
	if r.RateLimit != nil {
		var err error
		if own.limit, err = newLimiter(r.RateLimit); err != nil {
			return nil, fmt.Errorf("rate_limit: by %w", err)
		}
		own.byOwner = r.RateLimit.By == "owner"
	}
	if r.MaxBody != nil {
		own.maxBody = int64(*r.MaxBody)
		if own.maxBody == 0 {
			own.maxBody = -1
		}
	}
	return &own, nil
}

// handler puts the rules before next, the cheapest first. CORS goes around those
// that refuse, so that a page can read why.
func (g *rules) handler(next http.Handler) http.Handler {
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(w, r, next) }))
	if g.cors != nil {
		h = g.cors(h)
	}
	if g.open {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.allow.has(exchange.Of(r.Context()).Client) {
			g.f.deps.Fault.Write(w, r, fault.New(http.StatusForbidden, "not_allowed", "requests from this address are not allowed"))
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (g *rules) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x := exchange.Of(r.Context())
	refuse := func(err error) { g.f.deps.Fault.Write(w, r, err) }
	if g.limit != nil && !g.byOwner {
		if err := g.limit.allow(r); err != nil {
			refuse(err)
			return
		}
	}
	if g.auth != nil {
		if err := g.auth.admit(w, r, x); err != nil {
			refuse(err)
			return
		}
	}
	if g.limit != nil && g.byOwner {
		if err := g.limit.allow(r); err != nil {
			refuse(err)
			return
		}
	}
	if r.ContentLength == 0 || r.Body == nil || r.Body == http.NoBody {
		x.Body = &exchange.Body{}
		next.ServeHTTP(w, r)
		return
	}
	if g.maxBody >= 0 && r.ContentLength > g.maxBody {
		if r.ProtoMajor == 1 {
			w.Header()["Connection"] = []string{"close"}
		}
		refuse(tooLarge())
		return
	}
	in := g.f.incoming(w, r, g.maxBody)
	if !g.policy.BufferBody {
		r.Body = in
		next.ServeHTTP(w, r)
		return
	}
	release, err := g.f.buffer(r, x, in, int64(g.policy.MemoryBody))
	if err != nil {
		refuse(err)
		return
	}
	defer release()
	next.ServeHTTP(w, r)
}
