// Package session keeps who has logged in with a browser. A session is begun with a
// token and never outlives it: it ends when the token is revoked or expires, when it has
// not been used for a while, when it has become old, or when its owner logs out, here or
// everywhere.
//
// The browser has a cookie of 256 random bits that no script can read and that is not
// sent by pages of other sites except where somebody follows a link. The server has the
// cookie's SHA-256, in a file that outlives a restart: who reads the file has no session.
// A log-in always makes a new cookie, so that one which an attacker planted is worth
// nothing. What a page sends to change something must come with a second secret, made of
// the first, that pages of other sites cannot know ([Session.CSRF]).
package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rpipe-dev/rpipe/tokens"
)

// Options say how long sessions last. Zero times are never.
type Options struct {
	Idle     time.Duration // without a request
	Lifetime time.Duration // altogether
	Log      *slog.Logger  // nil discards
}

// How many sessions there may be. Beyond it the one that was used longest ago ends.
const (
	maxSessions = 10_000
	maxOfToken  = 50
)

// Tokens is the store of the tokens that sessions are begun with. Check returns the
// token with an id, or why it is good no more.
type Tokens interface {
	Check(id string) (tokens.Token, error)
}

// Session is a browser that has logged in.
type Session struct {
	ID      string // names it in lists and logs; opens nothing
	Token   string // id of the token that it was begun with
	Owner   string
	Scopes  []tokens.Scope
	Started time.Time
	Used    time.Time // to some minutes
	Address string    // of the client that began it
	Agent   string    // the browser, as it calls itself

	secret []byte // nil unless a request came with it
}

// CSRF is what requests of the session's own pages that change something send along, as
// the header X-CSRF-Token or the form field csrf_token.
func (s *Session) CSRF() string {
	if s == nil || s.secret == nil {
		return ""
	}
	m := hmac.New(sha256.New, s.secret)
	m.Write([]byte("rpipe csrf"))
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// CheckCSRF reports whether a request has the session's CSRF token. It reads a form's
// body, and no other.
func (s *Session) CheckCSRF(r *http.Request) bool {
	given := r.Header.Get("X-CSRF-Token")
	if given == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		given = r.PostFormValue("csrf_token")
	}
	want := s.CSRF()
	return want != "" && hmac.Equal([]byte(given), []byte(want))
}

type key struct{}

// With is ctx with the session in it.
func With(ctx context.Context, s *Session) context.Context { return context.WithValue(ctx, key{}, s) }

// From is the session of a request; nil where it came without.
func From(ctx context.Context) *Session {
	s, _ := ctx.Value(key{}).(*Session)
	return s
}

// Token is the CSRF token for the forms of a page; "" where the request came without a
// session and forms need none.
func Token(r *http.Request) string { return From(r.Context()).CSRF() }

// Store is all sessions of a server. It is safe for concurrent use.
type Store struct {
	path   string
	tokens Tokens
	o      Options
	log    *slog.Logger

	mu    sync.Mutex
	all   map[string]*record // by the hash of its secret, in hex
	saved time.Time
}

// record is a session in the file.
type record struct {
	Token   string    `json:"token"`
	Owner   string    `json:"owner"`
	Started time.Time `json:"started"`
	Used    time.Time `json:"used"`
	Address string    `json:"address,omitempty"`
	Agent   string    `json:"agent,omitempty"`
}

// Identify returns the session that a request's cookie opens, if it still does.
func (s *Store) Identify(r *http.Request) (*Session, bool) {
	secret, ok := secretOf(r)
	if !ok {
		return nil, false
	}
	hash := hashOf(secret)
	now := time.Now().UTC()
	s.mu.Lock()
	rec := s.all[hash]
	if rec != nil && s.over(rec, now) {
		delete(s.all, hash)
		rec = nil
	}
	if rec == nil {
		s.mu.Unlock()
		return nil, false
	}
	token := rec.Token
	s.mu.Unlock()

	t, err := s.tokens.Check(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, tokens.ErrUnknown), errors.Is(err, tokens.ErrExpired), errors.Is(err, tokens.ErrRevoked):
		delete(s.all, hash)
		s.saveOrWarn(now)
		return nil, false
	case err != nil:
		s.log.Error("no session can be verified", "error", err)
		return nil, false
	case s.all[hash] != rec: // it was ended meanwhile
		return nil, false
	}
	rec.Used = now
	if now.Sub(s.saved) >= s.lag() {
		s.saveOrWarn(now)
	}
	out := s.shown(hash, rec)
	out.Owner, out.Scopes, out.secret = t.Owner, slices.Clone(t.Scopes), secret
	return out, true
}

// Holds reports whether a session that Identify has returned has not ended since, by itself
// or by its owner. It is no use of it. Whether its token is good is for the caller to see.
func (s *Store) Holds(in *Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.all[hashOf(in.secret)]
	return rec != nil && !s.over(rec, time.Now())
}

// lag is how much later a session may have been used than the file says.
func (s *Store) lag() time.Duration {
	if s.o.Idle > 0 {
		return min(s.o.Idle/20, 5*time.Minute)
	}
	return 5 * time.Minute
}

func (s *Store) over(rec *record, now time.Time) bool {
	return s.o.Idle > 0 && now.Sub(rec.Used) >= s.o.Idle || s.o.Lifetime > 0 && now.Sub(rec.Started) >= s.o.Lifetime
}

func (s *Store) shown(hash string, rec *record) *Session {
	return &Session{
		ID: hash[:12], Token: rec.Token, Owner: rec.Owner, Started: rec.Started, Used: rec.Used,
		Address: rec.Address, Agent: rec.Agent,
	}
}

// Begin logs a client in with a token, which the caller has verified, and sets its
// cookie. What it was logged in as before ends.
func (s *Store) Begin(w http.ResponseWriter, r *http.Request, t tokens.Token, address string) *Session {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	now := time.Now().UTC()
	rec := &record{
		Token: t.ID, Owner: t.Owner, Started: now, Used: now, Address: address, Agent: short(r.UserAgent(), 200),
	}
	hash := hashOf(secret)
	s.mu.Lock()
	if old, ok := secretOf(r); ok {
		delete(s.all, hashOf(old))
	}
	s.makeRoom(t.ID, now)
	s.all[hash] = rec
	s.saveOrWarn(now)
	s.mu.Unlock()
	setCookie(w, r, secret, s.o.Lifetime)
	out := s.shown(hash, rec)
	out.Scopes, out.secret = slices.Clone(t.Scopes), secret
	return out
}

// makeRoom removes sessions that are over, and those used longest ago where there are
// too many. s.mu is held.
func (s *Store) makeRoom(token string, now time.Time) {
	for hash, rec := range s.all {
		if s.over(rec, now) {
			delete(s.all, hash)
		}
	}
	s.shrink(maxSessions, func(*record) bool { return true })
	s.shrink(maxOfToken, func(rec *record) bool { return rec.Token == token })
}

func (s *Store) shrink(most int, of func(*record) bool) {
	var found []string
	for hash, rec := range s.all {
		if of(rec) {
			found = append(found, hash)
		}
	}
	if len(found) < most {
		return
	}
	slices.SortFunc(found, func(a, b string) int { return s.all[a].Used.Compare(s.all[b].Used) })
	for _, hash := range found[:len(found)-most+1] {
		delete(s.all, hash)
	}
}

// End logs the request's client out. The error says that a restart of the server would
// bring the session back.
func (s *Store) End(w http.ResponseWriter, r *http.Request) error {
	clearCookie(w, r)
	secret, ok := secretOf(r)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, hashOf(secret))
	return s.save(time.Now())
}

// EndAll ends all sessions of an owner, and returns how many there were. The error is
// that of End.
func (s *Store) EndAll(owner string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for hash, rec := range s.all {
		if rec.Owner == owner {
			delete(s.all, hash)
			n++
		}
	}
	return n, s.save(time.Now())
}

// List returns the sessions of an owner, or all where owner is "", the newest first.
func (s *Store) List(owner string) []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	out := []*Session{}
	for hash, rec := range s.all {
		if (owner == "" || rec.Owner == owner) && !s.over(rec, now) {
			out = append(out, s.shown(hash, rec))
		}
	}
	slices.SortFunc(out, func(a, b *Session) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out
}

func hashOf(secret []byte) string {
	sum := sha256.Sum256(secret)
	return hex.EncodeToString(sum[:])
}

func short(s string, most int) string {
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "")
	}
	return strings.ToValidUTF8(s, "")
}
