// Package tokens keeps the tokens that clients show to rpipe: who owns each, what
// it is good for, until when. `rpipe token` writes them, `rpipe proxy` and `rpipe
// serve` ask for them.
//
// A store is one file. A secret is shown once, when it is made; the file holds its
// SHA-256. Any number of processes may use the file at once: changes are made
// under a lock and appear whole, and a process that verifies tokens sees what
// others have changed within [Fresh].
package tokens

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fresh is how soon Verify sees what another process has changed, such as that a
// token was revoked.
const Fresh = 500 * time.Millisecond

// Store is a file of tokens. Its methods are safe for concurrent use.
type Store struct {
	path   string
	saving sync.WaitGroup // the goroutine that saves uses

	mu      sync.Mutex
	seen    version              // of the file that entries is from
	looked  time.Time            // when the file was last looked at
	broken  error                // why it could not be read then
	entries []entry              // as in the file
	index   map[[8]byte][]int    // of entries, by the first bytes of their hash
	used    map[string]time.Time // by id, what is not in the file yet
	saved   time.Time            // when used was last saved, or that was tried
}

// entry is a token in the file.
type entry struct {
	Token
	Hash string `json:"sha256"` // of the secret, in hex
}

// Open is the store in the file at path, or in tokens.json where path is a
// directory. A file that does not exist holds no tokens; Create makes it. The
// error says why an existing one cannot be used.
func Open(path string) (*Store, error) {
	s := &Store{path: fileOf(path), used: map[string]time.Time{}, saved: time.Now()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	return s, nil
}

// Path is the file.
func (s *Store) Path() string { return s.path }

// ErrInvalid says that Create was asked for what cannot be.
var ErrInvalid = errors.New("no such token can be made")

// Create makes a token, which is good for scopes until ttl has passed; 0 is for
// ever. Its secret is never shown again. Errors are ErrInvalid and those of the
// file.
func (s *Store) Create(owner string, scopes []Scope, ttl time.Duration) (secret string, t Token, err error) {
	names := make([]string, len(scopes))
	for i, scope := range scopes {
		names[i] = string(scope)
	}
	if scopes, err = ParseScopes(names...); err == nil {
		err = checkOwner(owner)
	}
	if err == nil && ttl < 0 {
		err = fmt.Errorf("a token that expires %v ago is of no use", -ttl)
	}
	if err != nil {
		return "", Token{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	secret = newSecret()
	hash := hashOf(secret)
	now := time.Now().UTC().Truncate(time.Second)
	t = Token{Owner: owner, Scopes: scopes, Created: now}
	if ttl > 0 {
		t.Expires = now.Add(ttl)
	}
	err = s.change(func(all []entry) ([]entry, error) {
		for t.ID == "" || slices.ContainsFunc(all, func(e entry) bool { return e.ID == t.ID }) {
			t.ID = newID()
		}
		all = slices.DeleteFunc(all, func(e entry) bool { return e.forgotten(now) })
		return append(all, entry{Token: t, Hash: hex.EncodeToString(hash[:])}), nil
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// kept is how long a token that is of no use any more stays in the file, so that
// its bearer is told why.
const kept = 90 * 24 * time.Hour

func (e *entry) forgotten(now time.Time) bool {
	gone := func(at time.Time) bool { return !at.IsZero() && now.Sub(at) > kept }
	return gone(e.Revoked) || gone(e.Expires)
}

// List returns all tokens, those that are of no use any more too, the oldest first.
func (s *Store) List() ([]Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refresh(); err != nil {
		return nil, err
	}
	all := make([]Token, len(s.entries))
	for i, e := range s.entries {
		all[i] = e.Token
		if at := s.used[e.ID]; at.After(e.LastUsed) {
			all[i].LastUsed = at
		}
	}
	return all, nil
}

// Revoke makes a token unusable, for ever. It is named by its id, or by its secret
// where only that is known, as when it was found where it should not be. One that
// was revoked before stays so, and is no error.
func (s *Store) Revoke(name string) (Token, error) {
	var found Token
	hash := hashOf(name)
	err := s.change(func(all []entry) ([]entry, error) {
		i := slices.IndexFunc(all, func(e entry) bool { return e.ID == name || e.Hash == hex.EncodeToString(hash[:]) })
		if i < 0 {
			if strings.HasPrefix(name, prefix) {
				name = "this secret" // it may be one of another store, and is nobody's business
			}
			return nil, fmt.Errorf("revoke %s: %w: rpipe token list shows the ids", name, ErrUnknown)
		}
		if all[i].Revoked.IsZero() {
			all[i].Revoked = time.Now().UTC().Truncate(time.Second)
		}
		found = all[i].Token
		return all, nil
	})
	return found, err
}

// Verify returns the token of a secret. Its errors are ErrUnknown, ErrExpired,
// ErrRevoked (then with the token), and that of a file which cannot be read:
// nobody gets in meanwhile. It takes about a microsecond; twice a second, and where
// the token is unknown, it asks whether the file has changed.
func (s *Store) Verify(secret string) (Token, error) {
	if !wellFormed(secret) {
		return Token{}, ErrUnknown
	}
	hash := hashOf(secret)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.looked) >= Fresh || now.Before(s.looked) {
		s.refresh()
	}
	if s.broken != nil {
		return Token{}, s.broken
	}
	t, err := s.find(hash)
	if errors.Is(err, ErrUnknown) {
		// It may have been made a moment ago. Who guesses is slowed down by who asks.
		if s.refresh(); s.broken != nil {
			return Token{}, s.broken
		}
		t, err = s.find(hash)
	}
	if err != nil {
		return t, err
	}
	if err := t.usable(now); err != nil {
		return t, err
	}
	s.used[t.ID] = now.UTC().Truncate(time.Second)
	s.saveSoon(now)
	return t, nil
}

// Check returns the token with an id, as Verify does for its secret: for what was
// begun with a token and must not outlive it.
func (s *Store) Check(id string) (Token, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.looked) >= Fresh || now.Before(s.looked) {
		s.refresh()
	}
	if s.broken != nil {
		return Token{}, s.broken
	}
	i := slices.IndexFunc(s.entries, func(e entry) bool { return e.ID == id })
	if i < 0 {
		return Token{}, ErrUnknown
	}
	t := s.entries[i].Token
	if err := t.usable(now); err != nil {
		return t, err
	}
	s.used[t.ID] = now.UTC().Truncate(time.Second)
	s.saveSoon(now)
	return t, nil
}

// find is the token with this hash. The index leads to those that begin like it,
// which are then compared as a whole, in a time that does not tell how much is
// equal. s.mu is held.
func (s *Store) find(hash [sha256.Size]byte) (Token, error) {
	for _, i := range s.index[[8]byte(hash[:8])] {
		stored, err := hex.DecodeString(s.entries[i].Hash)
		if err == nil && subtle.ConstantTimeCompare(stored, hash[:]) == 1 {
			return s.entries[i].Token, nil
		}
	}
	return Token{}, ErrUnknown
}

// refresh reads the file where it has changed. s.mu is held.
func (s *Store) refresh() error {
	now := time.Now()
	at, err := versionOf(s.path)
	if err == nil && (s.broken != nil || s.index == nil || !at.same(s.seen)) {
		var all []entry
		if all, at, err = read(s.path); err == nil {
			s.take(all, at)
		}
	}
	s.broken, s.looked = err, now
	return err
}

// take makes all what the store holds. s.mu is held.
func (s *Store) take(all []entry, at version) {
	s.entries, s.seen, s.index = all, at, make(map[[8]byte][]int, len(all))
	for i, e := range all {
		var head [8]byte
		if hash, err := hex.DecodeString(e.Hash); err == nil && len(hash) == sha256.Size {
			copy(head[:], hash)
			s.index[head] = append(s.index[head], i)
		}
	}
}

// change reads the file, lets f change what is in it, and writes it, alone among
// all processes.
func (s *Store) change(f func([]entry) ([]entry, error)) error {
	path := s.path
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real // replace the file, not a link to it
	}
	unlock, err := lock(path, lockWait)
	if err != nil {
		return err
	}
	defer unlock()
	all, _, err := read(path)
	if err != nil {
		return err
	}
	if all, err = f(all); err != nil {
		return err
	}
	at, err := write(path, all)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(all, at)
	s.broken, s.looked = nil, time.Now()
	return nil
}

// Usable reports whether a token that is good for scope now is in the store.
func (s *Store) Usable(scope Scope) (bool, error) {
	all, err := s.List()
	now := time.Now()
	return slices.ContainsFunc(all, func(t Token) bool { return t.usable(now) == nil && t.Allows(scope) }), err
}

// Close saves when tokens were last used, and waits for what is under way.
func (s *Store) Close() error {
	s.saving.Wait()
	err := s.saveUses()
	if errors.Is(err, errReadOnly) {
		return nil
	}
	return err
}
