//go:build unix

package admin

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/browsertest"
	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/rpool"
)

var shots = flag.String("shots", "", "write pictures of the status page to this directory")

// shop is R code with something of everything.
const shop = `function(req) {
  path <- req$PATH_INFO
  if (path == "/slow") Sys.sleep(0.3)
  if (path == "/die") tools::pskill(Sys.getpid(), 9L)
  if (path == "/fail") stop("object 'prices' not found")
  list(status = if (path == "/missing") 404L else 200L, headers = list(), body = "ok")
}`

func TestTheStatusPageInABrowser(t *testing.T) {
	pool, err := rpool.New(rpool.Options{Min: 2, Max: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	env := &rpool.Environment{Handler: shop}
	if err := pool.Warm(t.Context(), env, 2); err != nil {
		t.Fatal(err)
	}
	rec := NewRecorder(0)
	source := sourceFunc(func() Snapshot {
		return Snapshot{
			Name: "shop", Version: "v0.2.0", Started: rec.started,
			APIs: []API{{
				Name: "prices", Path: "/", Transport: "plumber", File: "plumber.R", Docs: "/__docs__/", Pool: "default",
				Environment: env.Fingerprint(), Generation: 1, Since: rec.started, Tried: rec.started,
			}},
			Pools: []Pool{{Name: "default", Options: rpool.Options{Min: 2, Max: 4}, Stats: pool.Stats()}},
		}
	})
	registry := metrics.New()
	registry.Prometheus().MustRegister(rec)
	a := New(Options{Config: Config{Local: true}, Source: source, Recorder: rec, Metrics: registry.Handler()})
	url, stop := serve(t, "", rec, a.Before(&app{pool: pool, env: env, rec: rec, name: "prices"}))
	tab := browsertest.Open(t, url)
	get(t, url+"/prices")

	rows := `document.querySelectorAll('[aria-label^="Workers of pool"] tbody tr').length`
	requests := func(n int) string {
		return fmt.Sprintf(`document.querySelector('[aria-label="Routes of prices"] tbody td:nth-child(2)').textContent === "%d"`, n)
	}
	tab.Go("/__rpipe__/")
	tab.Wait(rows + ` === 2`)
	tab.Wait(requests(1))
	if ready := tab.Value(`document.querySelector('[role=status]').textContent`); ready != "ready" {
		t.Error(ready)
	}
	tab.Value(`document.querySelector('h3').marked = true`)

	get(t, url+"/prices")
	tab.Wait(requests(2))
	get(t, url+"/fail")
	get(t, url+"/<img src=x onerror=alert(1)>")
	failures := `document.querySelector('[aria-labelledby=errors]')`
	tab.Wait(failures + `.querySelectorAll('details').length === 1`)
	tab.Value(failures + `.querySelector('summary').click()`)
	if text := tab.Value(failures + `.querySelector('pre').textContent`); !strings.Contains(text, "object 'prices' not found") {
		t.Errorf("the error is %q", text)
	}
	// A worker dies; the page tells of it, and of the one in its place.
	get(t, url+"/die")
	tab.Wait(failures + `.textContent.includes('killed by SIGKILL')`)
	tab.Wait(`document.querySelector('[aria-labelledby=pools]').textContent.includes('1 SIGKILL')`)
	tab.Wait(rows + ` === 2`)
	// The page is changed, not written again: what was there and open is so still.
	tab.Wait(`document.querySelector('h3').marked && ` + failures + `.querySelectorAll('details[open]').length === 1`)
	tab.Wait(`document.querySelector('[aria-label="Routes of prices"]').textContent.includes('/<img src=x onerror=alert(1)>')`)
	tab.Wait(`document.querySelectorAll('#page img, #page script').length === 0`)

	tab.Screen(390, 844, 2, "dark")
	if width := tab.Value(`document.documentElement.scrollWidth`); width != "390" {
		t.Errorf("on a phone of 390 points the page is %s wide", width)
	}
	// The server goes: the page says so, and shows what it knew.
	stop()
	tab.Wait(`(document.querySelector('[role=alert]') || document).textContent?.startsWith('The server does not answer')`)
	tab.Wait(rows + ` === 2`)
}

type sourceFunc func() Snapshot

func (f sourceFunc) Snapshot() Snapshot { return f() }

// TestAFullStatusPageFitsItsScreen: with all that it can show at once, open, in
// light and dark, on a desk and on a phone. With -shots it writes pictures.
func TestAFullStatusPageFitsItsScreen(t *testing.T) {
	server := httptest.NewServer(pictured(t))
	defer server.Close()
	tab := browsertest.Open(t, server.URL)
	for _, s := range []struct {
		name, scheme  string
		width, height int64
		scale         float64
		open          bool
		from          string // how far down
	}{
		{"light", "light", 1240, 1480, 1, false, "0"},
		{"dark-below", "dark", 1240, 1480, 1, true, "1e9"},
		{"phone", "light", 360, 1700, 2, false, "0"},
		{"phone-below", "dark", 390, 1700, 2, true, "1e9"},
	} {
		tab.Screen(s.width, s.height, s.scale, s.scheme)
		tab.Go("/__rpipe__/status")
		tab.Wait(`document.querySelectorAll("h3").length === 4`) // three APIs and a pool
		if s.open {
			tab.Value(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		}
		if width := tab.Value(`document.documentElement.scrollWidth`); width != fmt.Sprint(s.width) {
			t.Errorf("%s is %s wide on a screen of %d", s.name, width, s.width)
		}
		dark := tab.Value(`getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] < 100`)
		if dark != fmt.Sprint(s.scheme == "dark") {
			t.Errorf("%s is dark: %s", s.name, dark)
		}
		if *shots == "" {
			continue
		}
		tab.Value(`window.scrollTo(0, ` + s.from + `)`)
		tab.Shot(filepath.Join(*shots, "status-"+s.name+".png"))
	}
}
