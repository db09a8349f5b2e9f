package tokens

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestStoresAgreeWithAModel: whatever several processes do to a store, in any
// order, each says of every secret what a plain map would.
func TestStoresAgreeWithAModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(t *rapid.T) {
			dir, err := os.MkdirTemp("", "rpipe-tokens-")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			var stores []*Store
			for range 3 {
				s, err := Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				stores = append(stores, s)
			}
			model := map[string]Token{} // by secret
			some := func() *Store { return rapid.SampledFrom(stores).Draw(t, "store") }
			one := func() string {
				if len(model) == 0 {
					t.Skip("no token yet")
				}
				return rapid.SampledFrom(slices.Sorted(maps.Keys(model))).Draw(t, "secret")
			}
			t.Repeat(map[string]func(*rapid.T){
				"create": func(t *rapid.T) {
					scopes := rapid.SliceOfNDistinct(rapid.SampledFrom(Scopes), 1, 4, rapid.ID).Draw(t, "scopes")
					ttl := time.Duration(rapid.IntRange(0, 5).Draw(t, "ttl")) * time.Minute
					secret, token, err := some().Create("ana", scopes, ttl)
					if err != nil {
						t.Fatal(err)
					}
					model[secret] = token
				},
				"revoke": func(t *rapid.T) {
					secret := one()
					token, err := some().Revoke(model[secret].ID)
					if err != nil {
						t.Fatal(err)
					}
					model[secret] = token
				},
				"wait":  func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(0, 40).Draw(t, "s")) * time.Second) },
				"close": func(t *rapid.T) { some().Close() },
				"": func(t *rapid.T) {
					time.Sleep(Fresh)
					for _, s := range stores {
						for secret, want := range model {
							got, err := s.Verify(secret)
							if !errors.Is(err, want.usable(time.Now())) || got.ID != want.ID || !slices.Equal(got.Scopes, want.Scopes) {
								t.Fatalf("%+v, %v, want %+v", got, err, want)
							}
						}
						if all, err := s.List(); err != nil || len(all) != len(model) {
							t.Fatalf("%d tokens, %v, want %d", len(all), err, len(model))
						}
						s.saving.Wait()
					}
				},
			})
		})
	})
}

func TestSecretsAreWellFormedAndSlipsAreNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := newSecret()
		if !wellFormed(secret) {
			t.Fatalf("%q", secret)
		}
		slip := []byte(secret)
		at := rapid.IntRange(0, len(slip)-1).Draw(t, "at")
		slip[at] = rapid.SampledFrom([]byte("0123456789abcXYZ_ ")).Draw(t, "by")
		if string(slip) != secret && wellFormed(string(slip)) {
			t.Fatalf("%q for %q", slip, secret)
		}
	})
}

// FuzzStore: a file that anybody wrote is refused or used, and makes nobody panic.
func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"version":1,"tokens":[{"id":"a","owner":"b","scopes":["read"],"created":"2026-11-22T00:00:00Z","sha256":"00"}]}`))
	f.Add([]byte(`{"version":1,"tokens":[{"sha256":"` + "zz" + `"},{}]}`))
	f.Add([]byte(`[]`))
	secret := newSecret()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "tokens.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path)
		if err != nil {
			return
		}
		if _, err := s.Verify(secret); err == nil {
			t.Error("a file let a stranger in")
		}
		if _, err := s.List(); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	secret, _, err := s.Create("ana", []Scope{Proxy}, 0)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := s.Verify(secret); err != nil {
			b.Fatal(err)
		}
	}
}
