package front

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/rpipe-dev/rpipe/proxy/exchange"
	"github.com/rpipe-dev/rpipe/proxy/fault"
	"github.com/rpipe-dev/rpipe/tokens"
)

// authority admits requests by tokens and passwords.
type authority struct {
	config *Auth
	tokens Tokens
	users  map[string]User
	costs  []byte // the hash of any user; nil where all have plain passwords
	// bcrypt takes tens of milliseconds on purpose: a password that was right is
	// known again by a hash under a key of this process.
	key   [32]byte
	mu    sync.Mutex
	known map[[32]byte]bool
}

// hashing has a place for each bcrypt of the process that may run at once.
var hashing = make(chan struct{}, runtime.NumCPU())

// knownPasswords bounds known; there is one for each user, more only if a
// password has several spellings.
const knownPasswords = 1000

func newAuthority(c *Auth, t Tokens) *authority {
	a := &authority{config: c, tokens: t, users: map[string]User{}, known: map[[32]byte]bool{}}
	rand.Read(a.key[:])
	for _, u := range c.Basic {
		a.users[u.Name] = u
		if u.Hash != "" {
			a.costs = []byte(u.Hash)
		}
	}
	return a
}

// admit lets a request in, or says why not. What it came with goes no further; R
// sees the owner as X-Forwarded-User.
func (a *authority) admit(w http.ResponseWriter, r *http.Request, x *exchange.Exchange) error {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	name, password, isBasic := r.BasicAuth()
	switch {
	case a.config.Bearer && strings.EqualFold(scheme, "Bearer"):
		t, err := a.verify(r, strings.TrimSpace(secret))
		var refused *fault.Fault
		switch {
		case errors.As(err, &refused):
			return refused
		case errors.Is(err, tokens.ErrUnknown):
			return a.challenge(w, "bad_token", "the token is not valid", err)
		case errors.Is(err, tokens.ErrExpired), errors.Is(err, tokens.ErrRevoked): // it was theirs: they may know
			return a.challenge(w, "bad_token", err.Error(), err)
		case err != nil:
			return &fault.Fault{Status: http.StatusServiceUnavailable, Reason: "token_store", Message: "tokens cannot be verified now", RetryAfter: time.Second, Err: err}
		case !a.config.good(t):
			return &fault.Fault{Status: http.StatusForbidden, Reason: "scope", Message: "the token is not good for this"}
		}
		x.Owner = t.Owner
	case len(a.users) > 0 && isBasic:
		ok, err := a.right(r, name, password)
		if err != nil {
			return err
		}
		if !ok {
			return a.challenge(w, "bad_password", "the user or the password is wrong", nil)
		}
		x.Owner = name
	default:
		return a.challenge(w, "no_credentials", "this needs "+a.wanted(), nil)
	}
	delete(r.Header, "Authorization")
	set(r.Header, "X-Forwarded-User", x.Owner)
	return nil
}

// verify looks a token up.
func (a *authority) verify(r *http.Request, secret string) (tokens.Token, error) {
	if watched, ok := a.tokens.(WatchedTokens); ok {
		return watched.VerifyFor(r, secret)
	}
	return a.tokens.Verify(secret)
}

// right compares a password. The time that a wrong one takes does not tell whether
// there is such a user.
func (a *authority) right(r *http.Request, name, password string) (bool, error) {
	u := a.users[name]
	sum := a.sum(name, password)
	if want := a.sum(name, string(u.Password)); u.Password != "" && subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
		return true, nil
	}
	a.mu.Lock()
	known := a.known[sum]
	a.mu.Unlock()
	if known {
		return true, nil
	}
	hash := []byte(u.Hash)
	if u.Hash == "" { // nobody, or one with a plain password: it costs what others cost
		hash = a.costs
	}
	if hash == nil {
		return false, nil
	}
	select {
	case hashing <- struct{}{}:
		defer func() { <-hashing }()
	case <-r.Context().Done():
		return false, fault.ErrClientGone
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || u.Hash == "" {
		return false, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) < knownPasswords {
		a.known[sum] = true
	}
	return true, nil
}

// sum stands for a name with a password.
func (a *authority) sum(name, password string) [sha256.Size]byte {
	mac := hmac.New(sha256.New, a.key[:])
	mac.Write([]byte(name + "\x00" + password))
	return [sha256.Size]byte(mac.Sum(nil))
}

// challenge is 401, with what would let in.
func (a *authority) challenge(w http.ResponseWriter, reason, message string, err error) error {
	h := w.Header()
	if a.config.Bearer {
		text := `Bearer realm="` + quotable(a.config.Realm) + `"`
		if reason == "bad_token" {
			text += `, error="invalid_token"`
		}
		h.Add("WWW-Authenticate", text)
	}
	if len(a.users) > 0 {
		h.Add("WWW-Authenticate", `Basic realm="`+quotable(a.config.Realm)+`", charset="UTF-8"`)
	}
	return &fault.Fault{Status: http.StatusUnauthorized, Reason: reason, Message: message, Err: err}
}

func (a *authority) wanted() string {
	switch {
	case len(a.users) == 0:
		return "a token"
	case !a.config.Bearer:
		return "a user and a password"
	}
	return "a token, or a user and a password"
}

var quotable = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace
