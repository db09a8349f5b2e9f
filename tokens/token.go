package tokens

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Scope is what a token is good for.
type Scope string

const (
	Submit Scope = "submit" // submit tasks, and see and cancel one's own
	Read   Scope = "read"   // see status, metrics and everybody's tasks
	Admin  Scope = "admin"  // change things; holds Read
	Proxy  Scope = "proxy"  // ask APIs whose routes want a token
)

// Scopes are all there are, in the order in which they are shown.
var Scopes = []Scope{Submit, Read, Admin, Proxy}

// Token is what is known of a token: everything but its secret.
type Token struct {
	ID       string    `json:"id"`
	Owner    string    `json:"owner"`
	Scopes   []Scope   `json:"scopes"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"` // zero: never
	Revoked  time.Time `json:"revoked,omitzero"` // zero: it is not
	LastUsed time.Time `json:"last_used,omitzero"`
}

// Allows reports whether the token is good for scope. It does not look at the
// token's expiry: Store.Verify did.
func (t Token) Allows(scope Scope) bool {
	return slices.Contains(t.Scopes, scope) || scope == Read && slices.Contains(t.Scopes, Admin)
}

// State is active, expired or revoked.
func (t Token) State(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		return "expired"
	}
	return "active"
}

// Errors of Store.Verify. Other errors of it are of the file.
var (
	ErrUnknown = errors.New("the token is unknown")
	ErrExpired = errors.New("the token has expired")
	ErrRevoked = errors.New("the token has been revoked")
)

// usable is why a token cannot be used; nil where it can.
func (t Token) usable(now time.Time) error {
	switch t.State(now) {
	case "revoked":
		return ErrRevoked
	case "expired":
		return ErrExpired
	}
	return nil
}

// ParseScopes reads names of scopes. Each is taken once.
func ParseScopes(names ...string) ([]Scope, error) {
	var all []Scope
	for _, name := range names {
		s := Scope(strings.TrimSpace(name))
		if !slices.Contains(Scopes, s) {
			return nil, fmt.Errorf("%q is no scope of a token: there are submit, read, admin and proxy", name)
		}
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("a token needs a scope: submit, read, admin or proxy")
	}
	return all, nil
}

// maxOwner is how many bytes an owner's name may have: it goes into each line of
// the access log.
const maxOwner = 100

func checkOwner(owner string) error {
	switch {
	case strings.TrimSpace(owner) == "":
		return errors.New("a token needs an owner: the name of who will use it, for logs")
	case strings.TrimSpace(owner) != owner:
		return fmt.Errorf("owner %q begins or ends with a space", owner)
	case len(owner) > maxOwner:
		return fmt.Errorf("the owner's name has %d bytes, and %d is the most", len(owner), maxOwner)
	case strings.ContainsFunc(owner, func(c rune) bool { return !unicode.IsPrint(c) || c == unicode.ReplacementChar }):
		return fmt.Errorf("owner %q holds what cannot be printed", owner)
	}
	return nil
}
