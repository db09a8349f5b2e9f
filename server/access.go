package server

import (
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/tasks/api"
	"github.com/rpipe-dev/rpipe/tasks/queue"
	"github.com/rpipe-dev/rpipe/tokens"
)

// getuid is the user that the server runs as; tests have another one.
var getuid = os.Getuid

// access says who asks.
type access struct {
	self     string // owner of what this user asks from this machine
	uid      int
	always   bool // nobody is let in for where he is
	insecure bool // everybody is, as self
	tokens   *tokens.Store
	log      *slog.Logger
	host     string   // of this machine
	names    []string // by which it is asked, too
}

// who is a client that was let in.
type who struct {
	queue.Who
	submit bool
	scopes []tokens.Scope
}

// allowed reports whether the client may do what takes a right.
func (w *who) allowed(r api.Right) bool {
	switch r {
	case api.Open, api.Use:
		return true
	case api.Submit:
		return w.submit
	case api.Read:
		return w.Read || w.Admin
	case api.Change:
		return w.submit || w.Admin
	}
	return w.Admin
}

func newWho(owner string, scopes []tokens.Scope) *who {
	has := func(s tokens.Scope) bool { return slices.Contains(scopes, s) }
	w := &who{scopes: scopes, submit: has(tokens.Submit)}
	w.Owner, w.Admin, w.Read = owner, has(tokens.Admin), has(tokens.Read) || has(tokens.Admin)
	return w
}

// everything is what the server's own user may do.
var everything = []tokens.Scope{tokens.Submit, tokens.Read, tokens.Admin}

// identify finds out who asks. The error is what he gets who may not.
func (a *access) identify(r *http.Request) (*who, error) {
	if secret, shown := tokens.Bearer(r); shown {
		if _, _, basic := r.BasicAuth(); basic {
			if err := sameOrigin(r); err != nil { // browsers send passwords by themselves
				return nil, err
			}
		}
		return a.byToken(secret)
	}
	// Browsers show certificates, and are where they are, by themselves.
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if err := sameOrigin(r); err != nil {
			return nil, err
		}
		return byCertificate(r.TLS.VerifiedChains[0][0])
	}
	if err := a.byPlace(r); err != nil {
		return nil, err
	}
	if err := sameOrigin(r); err != nil {
		return nil, err
	}
	return newWho(a.self, everything), nil
}

func (a *access) byToken(secret string) (*who, error) {
	if a.tokens == nil {
		return nil, unauthorized("there is no token store, so no token is good: make one with rpipe token create")
	}
	t, err := a.tokens.Verify(secret)
	switch {
	case errors.Is(err, tokens.ErrUnknown), errors.Is(err, tokens.ErrExpired), errors.Is(err, tokens.ErrRevoked):
		return nil, unauthorized(err.Error() + ": rpipe token create makes one")
	case err != nil:
		a.log.Error("no token can be verified", "error", err)
		return nil, unauthorized("the token cannot be verified: the server's token store cannot be read")
	}
	w := newWho(t.Owner, t.Scopes)
	if !w.submit && !w.Read {
		return nil, &api.Fault{Status: http.StatusForbidden, Code: "forbidden", Message: "the token is for something else: tasks take one of scope submit, read or admin"}
	}
	return w, nil
}

// byCertificate takes the owner from a certificate's common name, and scopes from its
// organizational units; without those it may submit.
func byCertificate(c *x509.Certificate) (*who, error) {
	owner := c.Subject.CommonName
	if owner == "" {
		return nil, unauthorized("the certificate has no common name, which would be the owner")
	}
	scopes, err := tokens.ParseScopes(c.Subject.OrganizationalUnit...)
	if err != nil {
		scopes = []tokens.Scope{tokens.Submit}
	}
	return newWho(owner, scopes), nil
}

// byPlace lets in who asks from this machine, as this user.
func (a *access) byPlace(r *http.Request) error {
	if a.insecure {
		return nil
	}
	x := exchange.Of(r.Context())
	socket := x.ID != "" && !x.Peer.IsValid() && !x.Relayed // the socket's directory says who may connect
	switch {
	case a.always:
		return unauthorized("show a token: Authorization: Bearer rpt_…, as rpipe token create --scope submit makes it")
	case socket:
		return nil
	case !exchange.FromHere(r):
		return unauthorized("from another machine, show a token: Authorization: Bearer rpt_…, as rpipe token create --scope submit makes it")
	case !exchange.NamesHere(r.Host, a.host) && !slices.Contains(a.names, hostname(r.Host)):
		return unauthorized("the request does not name this machine as its host: ask for 127.0.0.1 or localhost, add the name to listen.names, or show a token")
	}
	uid, known := peerUser(r)
	if known && uid != a.uid && uid != 0 {
		return unauthorized("you are another user of this machine than the server is: show a token, which that user makes by rpipe token create --scope submit")
	}
	return nil
}

func hostname(host string) string {
	u := url.URL{Host: host}
	return strings.ToLower(u.Hostname())
}

// sameOrigin refuses what a page of another site has a browser ask.
func sameOrigin(r *http.Request) error {
	refused := &api.Fault{Status: http.StatusForbidden, Code: "cross_origin", Message: "a page of another site may not ask; programs are to show a token"}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return refused
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return refused
	}
	return nil
}

func unauthorized(message string) error {
	return &api.Fault{Status: http.StatusUnauthorized, Code: "unauthorized", Message: message}
}

// nobody is a user that no process has.
const nobody = -1
