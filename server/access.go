package server

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/server/audit"
	"github.com/rpipe-dev/rpipe/server/session"
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
	sessions *session.Store // nil for none
	audit    *audit.Log     // nil for none
	guesses  *guesses
	log      *slog.Logger
	host     string   // of this machine
	names    []string // by which it is asked, too
	recheck  time.Duration
	denied   *prometheus.CounterVec // by reason; nil counts nothing
}

// who is a client that was let in.
type who struct {
	queue.Who
	submit  bool
	scopes  []tokens.Scope
	token   string           // its id; "" for none
	by      string           // token, session, certificate or place
	session *session.Session // nil unless a cookie says who it is
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

func ownerOnly(owner string) queue.Who { return queue.Who{Owner: owner} }

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
	if w := insiderOf(r.Context()); w != nil {
		return w, nil
	}
	if secret, shown := tokens.Bearer(r); shown {
		if _, _, basic := r.BasicAuth(); basic {
			if err := sameOrigin(r); err != nil { // browsers send passwords by themselves
				return nil, err
			}
		}
		return a.byToken(r, secret)
	}
	if w, err := a.bySession(r); w != nil || err != nil {
		return w, err
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
	w := newWho(a.self, everything)
	w.by = "place"
	return w, nil
}

func (a *access) byToken(r *http.Request, secret string) (*who, error) {
	t, err := a.verify(r, secret)
	if err != nil {
		return nil, err
	}
	w := newWho(t.Owner, t.Scopes)
	w.token, w.by = t.ID, "token"
	a.usedAdmin(r, w)
	if !w.submit && !w.Read {
		return nil, &api.Fault{Status: http.StatusForbidden, Code: "forbidden", Message: "the token is for something else: tasks take one of scope submit, read or admin"}
	}
	return w, nil
}

// bySession lets in who has logged in. What changes something must come from a page of
// ours, and prove it.
func (a *access) bySession(r *http.Request) (*who, error) {
	if a.sessions == nil {
		return nil, nil
	}
	found, ok := a.sessions.Identify(r)
	if !ok {
		return nil, nil
	}
	if err := sameOrigin(r); err != nil {
		return nil, err
	}
	if !safe(r) && !found.CheckCSRF(r) {
		return nil, &api.Fault{Status: http.StatusForbidden, Code: "csrf", Message: "the request does not prove that a page of this server sent it: load the page again; programs are to show a token, not a cookie"}
	}
	w := newWho(found.Owner, found.Scopes)
	w.token, w.session, w.by = found.Token, found, "session"
	return w, nil
}

// recheckEvery is how often it is looked whether who has a stream open may have it.
const recheckEvery = 5 * time.Second

// until returns when a client may ask no more, with the reason, or when ctx ends, with
// nil: what is asked once is refused then, and what lasts has to end.
func (a *access) until(ctx context.Context, w *who) error {
	t := time.NewTicker(a.recheck)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		if w.session != nil && !a.sessions.Holds(w.session) {
			return errLoggedOut
		}
		// Where the store cannot be read just now it is not known, and looked again.
		_, err := a.tokens.Check(w.token)
		if errors.Is(err, tokens.ErrUnknown) || errors.Is(err, tokens.ErrExpired) || errors.Is(err, tokens.ErrRevoked) {
			return err
		}
	}
}

var errLoggedOut = errors.New("the log-in has ended")

// safe reports whether a request changes nothing.
func safe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
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
	w := newWho(owner, scopes)
	w.by = "certificate"
	return w, nil
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
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" && !followsLink(r) {
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

// followsLink reports whether somebody has followed a link, in a chat for instance: the
// site that had it sees nothing of the answer.
func followsLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

func unauthorized(message string) error {
	return &api.Fault{Status: http.StatusUnauthorized, Code: "unauthorized", Message: message}
}

// nobody is a user that no process has.
const nobody = -1
