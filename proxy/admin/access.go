package admin

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tokens"
)

// access says who may see what is behind /__rpipe__/.
type access struct {
	local  bool // clients of this machine need no token
	tokens *tokens.Store
	log    *slog.Logger
	host   string // of this machine
}

func newAccess(local bool, store *tokens.Store, log *slog.Logger) *access {
	host, _ := os.Hostname()
	return &access{local: local, tokens: store, log: log, host: host}
}

// allow reports whether r may do what takes scope: its client is of this machine,
// or shows a token.
func (a *access) allow(r *http.Request, scope tokens.Scope) bool {
	return a.local && fromHere(r) && a.named(r.Host) || a.token(r, scope)
}

// fromHere reports whether the client is of this machine. The peer of the
// connection has to be, and whoever it says it asks for: a proxy on this machine
// makes every client look local to who looks at the peer alone. An address that
// came in a header opens nothing; it can only close.
func fromHere(r *http.Request) bool {
	if x := exchange.Of(r.Context()); x.ID != "" { // a front has found out, and changed the headers
		return x.Peer.IsLoopback() && x.Client.IsLoopback() && !x.Relayed
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	if r.Header.Get("Forwarded") != "" || r.Header.Get("Via") != "" {
		return false
	}
	for _, name := range []string{"X-Forwarded-For", "X-Real-Ip"} {
		for _, line := range r.Header.Values(name) {
			for text := range strings.SplitSeq(line, ",") {
				if a, err := netip.ParseAddr(strings.TrimSpace(text)); err != nil || !a.Unmap().IsLoopback() {
					return false
				}
			}
		}
	}
	return true
}

// named reports whether a request names this machine as its host. A page of
// another site cannot: without this, one could have its own name lead to
// 127.0.0.1 and read the answers in the browser of whoever works here (DNS
// rebinding).
func (a *access) named(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == strings.ToLower(a.host)
}

// token reports whether r shows a token that is good for scope: as a bearer, or,
// since that is what a browser can ask a person for, as the password of a login.
func (a *access) token(r *http.Request, scope tokens.Scope) bool {
	secret, ok := bearer(r)
	if !ok || a.tokens == nil {
		return false
	}
	t, err := a.tokens.Verify(secret)
	switch {
	case err == nil:
		return t.Allows(scope)
	case !errors.Is(err, tokens.ErrUnknown) && !errors.Is(err, tokens.ErrExpired) && !errors.Is(err, tokens.ErrRevoked):
		a.log.Error("no token can be verified", "error", err)
	}
	return false
}

func bearer(r *http.Request) (string, bool) {
	if _, password, ok := r.BasicAuth(); ok {
		return password, true
	}
	scheme, secret, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(secret), ok && strings.EqualFold(scheme, "Bearer")
}

// refuse answers who may not. A browser then asks for a login.
func refuse(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("WWW-Authenticate", `Bearer realm="rpipe"`)
	h.Add("WWW-Authenticate", `Basic realm="rpipe: a token as the password", charset="UTF-8"`)
	answer(w, r, http.StatusUnauthorized, map[string]string{
		"error":   "unauthorized",
		"message": "/__rpipe__/ answers this machine, or a token of scope read or admin",
	})
}
