package tokens

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func create(t *testing.T, s *Store, owner string, ttl time.Duration, scopes ...Scope) (string, Token) {
	t.Helper()
	secret, token, err := s.Create(owner, scopes, ttl)
	if err != nil {
		t.Fatal(err)
	}
	return secret, token
}

func wants(t *testing.T, s *Store, secret string, want error) Token {
	t.Helper()
	token, err := s.Verify(secret)
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Errorf("verify: %v, want %v", err, want)
	}
	return token
}

func TestASecretLetsItsOwnerIn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "tokens.json")
	s := open(t, path)
	secret, made := create(t, s, "ana", time.Hour, Proxy, Read)
	if !regexp.MustCompile(`^rpt_[0-9A-Za-z]{49}$`).MatchString(secret) {
		t.Errorf("secret %q", secret)
	}
	got := wants(t, open(t, path), secret, nil)
	if got.ID != made.ID || got.Owner != "ana" || !slices.Equal(got.Scopes, []Scope{Proxy, Read}) || got.Expires.Sub(got.Created) != time.Hour {
		t.Errorf("%+v", got)
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Contains(string(data), secret[4:]) {
		t.Errorf("the file holds the secret, or cannot be read: %v", err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestAnythingElseIsUnknown(t *testing.T) {
	s := open(t, t.TempDir())
	secret, _ := create(t, s, "ana", 0, Proxy)
	other := newSecret()
	flipped := []byte(secret)
	flipped[20] ^= 1
	for _, wrong := range []string{"", "rpt_", other, string(flipped), secret + " ", secret[:len(secret)-1], strings.ToUpper(secret), s.entries[0].Hash, s.entries[0].ID} {
		wants(t, s, wrong, ErrUnknown)
	}
	wants(t, s, secret, nil)
}

func TestScopes(t *testing.T) {
	f := func(has string, want ...Scope) {
		t.Helper()
		scopes, err := ParseScopes(strings.Split(has, ",")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range Scopes {
			if got := (Token{Scopes: scopes}).Allows(scope); got != slices.Contains(want, scope) {
				t.Errorf("%s allows %s: %v", has, scope, got)
			}
		}
	}
	f("submit", Submit)
	f("read", Read)
	f("admin", Admin, Read)
	f("proxy", Proxy)
	f("proxy, submit,proxy", Proxy, Submit)
	for _, bad := range []string{"", "root", "Admin", "proxy;admin"} {
		if got, err := ParseScopes(bad); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestWhatCannotBeMade(t *testing.T) {
	s := open(t, t.TempDir())
	f := func(owner string, ttl time.Duration, want string, scopes ...Scope) {
		t.Helper()
		if _, _, err := s.Create(owner, scopes, ttl); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("ana", 0, "needs a scope")
	f("ana", 0, `"root" is no scope`, "root")
	f("ana", -time.Hour, "of no use", Proxy)
	f("", 0, "needs an owner", Proxy)
	f("a\nb", 0, "cannot be printed", Proxy)
	f(" ana", 0, "with a space", Proxy)
	f(strings.Repeat("é", 51), 0, "102 bytes", Proxy)
	if _, err := os.Stat(s.Path()); err == nil {
		t.Error("a refused token made a file")
	}
}

func TestATokenEndsWhenItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		brief, _ := create(t, s, "ana", time.Minute, Proxy)
		forever, _ := create(t, s, "ben", 0, Proxy)
		time.Sleep(time.Minute - time.Second)
		wants(t, s, brief, nil)
		time.Sleep(time.Second)
		if token := wants(t, s, brief, ErrExpired); token.Owner != "ana" {
			t.Errorf("%+v", token)
		}
		time.Sleep(100 * 365 * 24 * time.Hour)
		wants(t, s, forever, nil)
	})
}

func TestARunningServerNoticesChangesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		server, command := open(t, path), open(t, path)
		secret, token := create(t, command, "ana", 0, Proxy)
		time.Sleep(Fresh)
		wants(t, server, secret, nil)
		if _, err := command.Revoke(token.ID); err != nil {
			t.Fatal(err)
		}
		wants(t, command, secret, ErrRevoked)
		time.Sleep(Fresh)
		if token := wants(t, server, secret, ErrRevoked); token.Owner != "ana" {
			t.Errorf("%+v", token)
		}
	})
}

// TestAWriteInTheSameTickIsSeen: a file whose time and size are as before, on the
// same inode, is read all the same while it is young.
func TestAWriteInTheSameTickIsSeen(t *testing.T) {
	s := open(t, t.TempDir())
	secret, token := create(t, s, "ana", 0, Proxy)
	data, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	info, _ := os.Stat(s.Path())
	other := strings.Replace(string(data), token.Owner, "eve", 1)
	if err := errors.Join(os.WriteFile(s.Path(), []byte(other), 0o600), os.Chtimes(s.Path(), info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	s.looked = time.Time{}
	if got := wants(t, s, secret, nil); got.Owner != "eve" {
		t.Errorf("%+v", got)
	}
}

func TestRevoke(t *testing.T) {
	s := open(t, t.TempDir())
	secret, token := create(t, s, "ana", 0, Proxy)
	leaked, _ := create(t, s, "ben", 0, Proxy)
	if _, err := s.Revoke("nobody"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := s.Revoke(newSecret()); !errors.Is(err, ErrUnknown) || strings.Contains(err.Error(), prefix) {
		t.Error(err)
	}
	first, err := s.Revoke(token.ID)
	if err != nil || first.Revoked.IsZero() {
		t.Errorf("%+v, %v", first, err)
	}
	if again, err := s.Revoke(token.ID); err != nil || !again.Revoked.Equal(first.Revoked) {
		t.Errorf("%+v, %v", again, err)
	}
	wants(t, s, secret, ErrRevoked)
	wants(t, s, leaked, nil)
	if got, err := s.Revoke(leaked); err != nil || got.Owner != "ben" {
		t.Errorf("%+v, %v", got, err)
	}
	wants(t, s, leaked, ErrRevoked)
}

func TestWhatIsLongOfNoUseIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir())
		expired, _ := create(t, s, "ana", time.Hour, Proxy)
		_, token := create(t, s, "ben", 0, Proxy)
		s.Revoke(token.ID)
		time.Sleep(kept)
		create(t, s, "cy", 0, Proxy)
		wants(t, s, expired, ErrExpired)
		time.Sleep(2 * time.Hour)
		create(t, s, "di", 0, Proxy)
		wants(t, s, expired, ErrUnknown)
		if all, err := s.List(); err != nil || len(all) != 2 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestLastUseIsNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir()
		s := open(t, path)
		secret, _ := create(t, s, "ana", 0, Proxy)
		create(t, s, "ben", 0, Proxy)
		used := func() time.Time {
			all, err := open(t, path).List()
			if err != nil || !all[1].LastUsed.IsZero() {
				t.Errorf("%+v, %v", all, err)
			}
			return all[0].LastUsed
		}
		wants(t, s, secret, nil)
		if !used().IsZero() {
			t.Error("each use is written")
		}
		time.Sleep(saveEvery)
		wants(t, s, secret, nil)
		synctest.Wait()
		if at := used(); time.Since(at) > time.Second {
			t.Errorf("last used %v", at)
		}
		time.Sleep(time.Second)
		wants(t, s, secret, nil)
		if err := s.Close(); err != nil || time.Since(used()) >= time.Second {
			t.Errorf("last used %v, %v", used(), err)
		}
	})
}

func TestAStoreThatCannotBeTrustedLetsNobodyIn(t *testing.T) {
	s := open(t, t.TempDir())
	secret, _ := create(t, s, "ana", 0, Admin)
	good, _ := os.ReadFile(s.Path())
	f := func(want string, spoil func() error) {
		t.Helper()
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		s.looked = time.Time{}
		if _, err := s.Verify(secret); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("verify: %v, want %q", err, want)
		}
		if _, err := Open(s.Path()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open: %v, want %q", err, want)
		}
		if _, _, err := s.Create("ben", []Scope{Read}, 0); err == nil {
			t.Error("what cannot be read was written over")
		}
		if err := errors.Join(os.WriteFile(s.Path(), good, 0o600), os.Chmod(s.Path(), 0o600)); err != nil {
			t.Fatal(err)
		}
		s.looked = time.Time{}
		wants(t, s, secret, nil)
	}
	f("is no token store", func() error { return os.WriteFile(s.Path(), good[:len(good)/2], 0o600) })
	f("its version is 7", func() error { return os.WriteFile(s.Path(), []byte(`{"version": 7}`), 0o600) })
	if runtime.GOOS != "windows" {
		f("chmod 600", func() error { return os.Chmod(s.Path(), 0o622) })
	}
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	s.looked = time.Time{}
	wants(t, s, secret, ErrUnknown)
}

func TestALinkToAStoreStaysALink(t *testing.T) {
	dir := t.TempDir()
	real := open(t, filepath.Join(dir, "real.json"))
	create(t, real, "ana", 0, Read)
	link := filepath.Join(dir, "link.json")
	if err := os.Symlink(real.Path(), link); err != nil {
		t.Skip("this system lets this user make no links")
	}
	create(t, open(t, link), "ben", 0, Read)
	if all, err := real.List(); err != nil || len(all) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestChangesOfManyAtOnceAreAllThere(t *testing.T) {
	path := t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		s := open(t, path) // as another process would
		all.Go(func() {
			for j := range 4 {
				secret, token, err := s.Create(fmt.Sprint(i, " ", j), []Scope{Read}, 0)
				if err != nil {
					t.Error(err)
					return
				}
				wants(t, s, secret, nil)
				if j%2 == 0 {
					if _, err := s.Revoke(token.ID); err != nil {
						t.Error(err)
					}
					wants(t, s, secret, ErrRevoked)
				}
			}
		})
	}
	all.Wait()
	tokens, err := open(t, path).List()
	revoked := 0
	for _, token := range tokens {
		if !token.Revoked.IsZero() {
			revoked++
		}
	}
	if err != nil || len(tokens) != 32 || revoked != 16 {
		t.Errorf("%d tokens, %d revoked, %v", len(tokens), revoked, err)
	}
	if left, _ := filepath.Glob(filepath.Join(path, ".tokens*")); len(left) > 0 {
		t.Error(left)
	}
}

func TestALockThatIsHeldIsNotWaitedForForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	unlock, err := lock(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock(path, 0); !errors.Is(err, errLocked) {
		t.Error(err)
	}
	unlock()
	if unlock, err = lock(path, 0); err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestDefaultPath(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("RPIPE_TOKENS", dir)
	if path, err := DefaultPath(); err != nil || path != filepath.Join(dir, "tokens.json") {
		t.Error(path, err)
	}
	t.Setenv("RPIPE_TOKENS", "")
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "AppData"} {
		t.Setenv(name, "")
	}
	if path, err := DefaultPath(); err == nil || !strings.Contains(err.Error(), "--store") {
		t.Error(path, err)
	}
}
