package webapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestEachWayToSign(t *testing.T) {
	f := func(auth, want string) {
		t.Helper()
		url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
			fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("Authorization"), r.Header.Get("X-Key"), r.URL.RawQuery)
		})
		resp, err := get(t, client(t, "auth: {"+auth+"}"), url+"/?a=1")
		if err != nil || string(resp.Body) != want {
			t.Errorf("%s: %s, %v; want %s", auth, resp.Body, err, want)
		} else if strings.Contains(resp.URL, "hush") {
			t.Errorf("%s: the URL is told as %s", auth, resp.URL)
		}
	}
	f("bearer: hush", "Bearer hush||a=1")
	f("basic: {user: me, password: hush}", "Basic bWU6aHVzaA==||a=1")
	f("api_key: {name: x-key, value: hush}", "|hush|a=1")
	f("api_key: {name: key, in: query, value: hu&sh}", "||a=1&key=hu%26sh")
}

// TestCredentialsGoToOneHostAlone: a redirect to another host, or another port of
// it, gets neither the credentials nor the configured headers, also on a way back.
func TestCredentialsGoToOneHostAlone(t *testing.T) {
	var seen []string
	var mu sync.Mutex
	note := func(r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, strings.Join([]string{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Api-Key"), r.Header.Get("X-Mine"), r.Header.Get("Referer"), r.URL.RawQuery}, "|"))
	}
	var home, away *httptest.Server
	away = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r)
		http.Redirect(w, r, home.URL+"/end", http.StatusFound)
	}))
	defer away.Close()
	home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note(r)
		switch r.URL.Path {
		case "/start":
			http.Redirect(w, r, "/same", http.StatusFound)
		case "/same":
			http.Redirect(w, r, away.URL+"/away", http.StatusFound)
		}
	}))
	defer home.Close()
	f := func(auth string, start, same string) {
		t.Helper()
		seen = nil
		_, err := client(t, "auth: {"+auth+"}").Do(t.Context(), &Request{Method: "GET", URL: home.URL + "/start?secret=1", Header: http.Header{"X-Mine": {"m"}}})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Join([]string{"/start" + start, "/same" + same, "/away|||||", "/end|||||"}, "\n")
		if got := strings.Join(seen, "\n"); got != want {
			t.Errorf("%s: the servers saw\n%s\nwant\n%s", auth, got, want)
		}
	}
	f("bearer: hush", "|Bearer hush||m||secret=1", "|Bearer hush||m||")
	f("api_key: {name: X-Api-Key, value: hush}", "||hush|m||secret=1", "||hush|m||")
	f("api_key: {name: k, in: query, value: hush}", "|||m||secret=1&k=hush", "|||m||k=hush")
}

func TestABodyDoesNotFollowARedirectToAnotherHost(t *testing.T) {
	away, reached := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {})
	home, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		http.Redirect(w, r, away, http.StatusTemporaryRedirect)
	})
	_, err := client(t, fast).Do(t.Context(), &Request{Method: "PUT", URL: home, Body: []byte("secret")})
	if err == nil || !strings.Contains(err.Error(), "a redirect of a PUT to another host") || reached.Load() != 0 {
		t.Errorf("%v, %d requests", err, reached.Load())
	}
}

func TestRedirectsHaveALimit(t *testing.T) {
	f := func(yaml string, want string, most int32) {
		t.Helper()
		url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) { http.Redirect(w, r, "/again", http.StatusFound) })
		_, err := get(t, client(t, fast+yaml), url)
		var e *Error
		if !errors.As(err, &e) || e.Class != Row || !strings.Contains(err.Error(), want) || count.Load() != most {
			t.Errorf("%s: %v, %d requests", yaml, err, count.Load())
		}
	}
	f("max_redirects: 3", "more than 3 redirects", 4)
	f("max_redirects: 0", "302 Found: max_redirects: 0 follows no redirect", 1)
}

// issuer gives out tokens t1, t2, … that are good for some seconds.
func issuer(t *testing.T, expires int) (url string, given *atomic.Int32) {
	return serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		r.ParseForm()
		user, password, _ := r.BasicAuth()
		if user != "me" || password != "hush" || r.PostForm.Get("grant_type") != "client_credentials" || r.PostForm.Get("scope") != "read write" || r.PostForm.Get("audience") != "orders" {
			w.WriteHeader(400)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token": "t%d", "token_type": "bearer", "expires_in": %d}`, n, expires)
	})
}

const oauth = "auth: {oauth2: {token_url: %s, client_id: me, client_secret: hush, scopes: [read, write], params: {audience: orders}}}\n" + fast

func TestATokenIsSharedAndRenewedAfterA401(t *testing.T) {
	tokens, given := issuer(t, 3600)
	var revoked atomic.Bool
	url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		token := r.Header.Get("Authorization")
		if token != "Bearer t1" && token != "Bearer t2" || token == "Bearer t1" && revoked.Load() {
			w.WriteHeader(401)
		}
	})
	c := client(t, fmt.Sprintf(oauth, tokens))
	all := func() {
		t.Helper()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := c.Do(t.Context(), &Request{Method: "POST", URL: url}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	all()
	if given.Load() != 1 || count.Load() != 20 {
		t.Errorf("20 requests at once took %d tokens and %d requests", given.Load(), count.Load())
	}
	revoked.Store(true)
	all() // each may meet one 401
	if given.Load() != 2 || count.Load() > 60 {
		t.Errorf("after the token was revoked: %d tokens, %d requests", given.Load(), count.Load())
	}
}

func TestATokenIsRenewedBeforeItEnds(t *testing.T) {
	tokens, given := issuer(t, 0) // no end is told
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {})
	c := client(t, fmt.Sprintf(oauth, tokens))
	for range 3 {
		if _, err := get(t, c, url); err != nil {
			t.Fatal(err)
		}
	}
	if given.Load() != 1 {
		t.Errorf("3 requests took %d tokens without an end", given.Load())
	}
	tokens, given = issuer(t, 100)
	c = client(t, fmt.Sprintf(oauth, tokens))
	get(t, c, url)
	if left := c.tokens.current.Expiry.Sub(c.tokens.renewAt); left < renewBefore*8/10 || left > renewBefore {
		t.Errorf("a token of 100 s is renewed %v before its end", left)
	}
	c.tokens.renewAt = c.tokens.renewAt.Add(-renewBefore * 3) // as if that time had come
	get(t, c, url)
	if given.Load() != 2 {
		t.Errorf("%d tokens", given.Load())
	}
}

func TestWrongCredentialsForATokenEndAtOnce(t *testing.T) {
	tokens, asked := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(401)
		fmt.Fprint(w, `{"error": "invalid_client", "error_description": "hush is not your secret"}`)
	})
	url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {})
	_, err := get(t, client(t, fmt.Sprintf(oauth, tokens)), url)
	var e *Error
	if !errors.As(err, &e) || e.Class != Fatal || !strings.Contains(err.Error(), "invalid_client") || strings.Contains(err.Error(), "hush") || count.Load() != 0 {
		t.Errorf("%v, %d requests", err, count.Load())
	}
	if asked.Load() > 2 { // the name in the header, then in the form
		t.Errorf("asked for a token %d times", asked.Load())
	}
}

func TestTheSecretOfAClientFollowsNoRedirectToAnotherHost(t *testing.T) {
	away, asked := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {})
	tokens, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		http.Redirect(w, r, away, http.StatusTemporaryRedirect)
	})
	url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {})
	_, err := get(t, client(t, fmt.Sprintf(oauth, tokens)), url)
	if err == nil || !strings.Contains(err.Error(), "another host") || asked.Load() != 0 || count.Load() != 0 {
		t.Errorf("%v; %d requests elsewhere, %d without a token", err, asked.Load(), count.Load())
	}
}

func TestATokenServerThatIsDownIsAskedAgain(t *testing.T) {
	tokens, _ := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n < 6 { // each time is two: the name in the header, then in the form
			w.WriteHeader(503)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token": "t", "token_type": "bearer"}`)
	})
	url, count := serve(t, func(w http.ResponseWriter, r *http.Request, n int) {})
	_, err := client(t, fmt.Sprintf(oauth, tokens)).Do(t.Context(), &Request{Method: "POST", URL: url})
	if err != nil || count.Load() != 1 {
		t.Errorf("%v, %d requests", err, count.Load())
	}
}
