package front

import (
	"errors"
	"fmt"
	"net/http"
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
	main, err := f.rules(p, &Route{})
	if err != nil {
		return nil, err
	}
	routes := make([]*rules, len(p.Routes))
	for i := range p.Routes {
		if routes[i], err = f.rules(p, &p.Routes[i]); err != nil {
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
			// What is behind may or may not resolve /a/../b: the rules are to be
			// the same either way, or nobody could tell which hold.
			at := match(p.Routes, r.Method, r.URL.Path)
			if at != match(p.Routes, r.Method, clean(r.URL.Path)) {
				f.deps.Fault.Write(w, r, fault.New(http.StatusBadRequest, "ambiguous_path", "the path has /../, /./ or // in it"))
				return
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

func (f *Front) rules(p *Policy, r *Route) (*rules, error) {
	auth, allow, cors, limit, most := p.Auth, p.Allow, p.CORS, p.RateLimit, p.MaxBody
	if r.Auth != nil {
		auth = r.Auth
	}
	if r.Allow != nil {
		allow = r.Allow
	}
	if r.CORS != nil {
		cors = r.CORS
	}
	if r.RateLimit != nil {
		limit = r.RateLimit
	}
	if r.MaxBody != nil {
		most = *r.MaxBody
	}
	g := &rules{f: f, allow: flatten(allow), open: len(allow) == 0, policy: p, maxBody: int64(most)}
	if most == 0 {
		g.maxBody = -1
	}
	if auth != nil && !auth.Public {
		g.auth = newAuthority(auth, f.deps.Tokens)
	}
	if limit != nil {
		var err error
		if g.limit, err = newLimiter(limit); err != nil {
			return nil, fmt.Errorf("rate_limit: by %w", err)
		}
		g.byOwner = limit.By == "owner"
	}
	if cors != nil {
		g.cors = cors.middleware()
	}
	return g, nil
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
	if !g.policy.BufferBody || r.Header["Upgrade"] != nil {
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
