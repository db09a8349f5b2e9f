package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"os"

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
	return a.local && exchange.FromHere(r) && exchange.NamesHere(r.Host, a.host) || a.token(r, scope)
}

// token reports whether r shows a token that is good for scope.
func (a *access) token(r *http.Request, scope tokens.Scope) bool {
	secret, ok := tokens.Bearer(r)
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
