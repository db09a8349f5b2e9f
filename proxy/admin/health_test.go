package admin

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/tokens"
)

func TestHealthIsOkWhateverTheAPIsAre(t *testing.T) {
	a, _ := newAdmin(t, &fixed{snap: Snapshot{Draining: true, APIs: []API{{Name: "sums", Err: errors.New("no")}}}}, nil)
	for _, method := range []string{"GET", "HEAD"} {
		w := ask(a, outside, method, "http://shop.example/__rpipe__/health")
		if w.Code != 200 || (w.Body.Len() > 0) != (method == "GET") {
			t.Errorf("%s: %d %q", method, w.Code, w.Body)
		}
	}
}

func TestReady(t *testing.T) {
	f := func(want string, change func(*Snapshot)) {
		t.Helper()
		snap := serving()
		change(&snap)
		a, _ := newAdmin(t, &fixed{snap: snap}, nil)
		w, stranger := ask(a, here, "GET", host+"/__rpipe__/ready"), ask(a, outside, "GET", "http://shop.example/__rpipe__/ready")
		if want == "" {
			if w.Code != 200 || stranger.Code != 200 || stranger.Body.String() != "{\"ready\":true}\n" {
				t.Errorf("%d %s; %d %s", w.Code, w.Body, stranger.Code, stranger.Body)
			}
			return
		}
		if w.Code != 503 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%d %s, want %q", w.Code, w.Body, want)
		}
		if stranger.Code != 503 || stranger.Body.String() != "{\"ready\":false}\n" {
			t.Errorf("a stranger is told %d %s", stranger.Code, stranger.Body)
		}
	}
	f("", func(s *Snapshot) {})
	f(`{"reason":"draining`, func(s *Snapshot) { s.Draining = true })
	f(`{"api":"sums","reason":"no worker is up"}`, func(s *Snapshot) { s.Pools[0].Stats.Environments[0].Up = 0 })
	f("no worker is up, 2 on the way", func(s *Snapshot) {
		s.Pools[0].Stats.Environments[0].Up, s.Pools[0].Stats.Environments[0].Starting = 0, 2
	})
	f("no worker is up: R: source", func(s *Snapshot) {
		s.Pools[0].Stats.Environments[0].Up, s.Pools[0].Stats.Environments[0].Failure = 0, "R: source api.R"
	})
	f("no worker is up", func(s *Snapshot) { s.APIs[0].Environment = "of another generation" })
	f("it has not come up yet", func(s *Snapshot) { s.APIs = append(s.APIs, API{Name: "new"}) })
	f(`{"api":"new","reason":"no such file"}`, func(s *Snapshot) { s.APIs = append(s.APIs, API{Name: "new", Err: errors.New("no such file")}) })
	// A reload that failed leaves an API that answers.
	f("", func(s *Snapshot) { s.APIs[0].Err = errors.New("no such file") })
	// Scaled to nothing while nobody asks, it answers; not where it then fails.
	f("", func(s *Snapshot) { s.APIs[0].OnDemand, s.Pools[0].Stats.Environments[0].Up = true, 0 })
	f("", func(s *Snapshot) { s.APIs[0].OnDemand, s.Pools[0].Stats.Environments = true, nil })
	f("no worker is up: R", func(s *Snapshot) {
		s.APIs[0].OnDemand, s.Pools[0].Stats.Environments[0].Up, s.Pools[0].Stats.Environments[0].Failure = true, 0, "R"
	})
}

func TestAnAddressOfItsOwn(t *testing.T) {
	s := store(t)
	a, _ := newAdmin(t, &fixed{snap: serving()}, s)
	c := Config{Listen: "0.0.0.0:0"}
	if _, err := c.Bind(t.Context(), s); err == nil || !strings.Contains(err.Error(), "rpipe token create --store") {
		t.Errorf("open to others without a token: %v", err)
	}
	if _, err := c.Bind(t.Context(), nil); err == nil {
		t.Error("open to others without a store")
	}
	secret(t, s, tokens.Proxy)
	if _, err := c.Bind(t.Context(), s); err == nil {
		t.Error("a token that may not read is enough")
	}
	secret(t, s, tokens.Read)
	l, err := c.Bind(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()

	c.Listen = "127.0.0.1:0"
	if l, err = c.Bind(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/__rpipe__/ready": 200, "/__rpipe__/status": 200, "/": 404} {
		resp, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("it listens still")
	}
}
