//go:build unix

package admin

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rpipe-dev/rpipe/metrics"
	"github.com/rpipe-dev/rpipe/rpool"
)

var shots = flag.String("shots", "", "write pictures of the status page to this directory")

// tab is a tab of a headless browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// chrome opens a tab. What a page complains of fails the test.
func chrome(t *testing.T) *tab {
	t.Helper()
	name := ""
	for _, n := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if path, err := exec.LookPath(n); err == nil {
			name = path
			break
		}
	}
	if name == "" {
		t.Skip("no Chromium is installed; apt install chromium")
	}
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(name), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	browser, cancel := chromedp.NewExecAllocator(context.Background(), o...)
	ctx, close := chromedp.NewContext(browser, chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			t.Errorf("the page throws: %+v", e.ExceptionDetails)
		case *log.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "Failed to load resource") {
				t.Errorf("the page complains: %s", e.Entry.Text)
			}
		}
	}))
	t.Cleanup(func() {
		close()
		cancel()
		chromedp.FromContext(ctx).Allocator.Wait()
	})
	b := &tab{t, ctx}
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	}))
	return b
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// value is that of an expression in JavaScript, a string.
func (b *tab) value(expression string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`String(`+expression+`)`))
	if err != nil {
		b.t.Fatal(expression, err)
	}
	return v
}

// wait is until a condition in JavaScript holds.
func (b *tab) wait(condition string) {
	b.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	enough := time.After(30 * time.Second)
	for b.value(condition) != "true" {
		select {
		case <-again.C:
		case <-enough:
			b.t.Fatalf("it did not come to be: %s\n%s", condition, b.value(`document.body.innerText`))
		}
	}
}

// screen is a size, and light or dark.
func (b *tab) screen(width, height int64, scale float64, scheme string) {
	b.t.Helper()
	o := []chromedp.EmulateViewportOption{chromedp.EmulateScale(scale)}
	if width < 500 {
		o = append(o, chromedp.EmulateMobile)
	}
	b.do(chromedp.EmulateViewport(width, height, o...), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// shop is R code with something of everything.
const shop = `function(req) {
  path <- req$PATH_INFO
  if (path == "/slow") Sys.sleep(0.3)
  if (path == "/die") tools::pskill(Sys.getpid(), 9L)
  if (path == "/fail") stop("object 'prices' not found")
  list(status = if (path == "/missing") 404L else 200L, headers = list(), body = "ok")
}`

func TestTheStatusPageInABrowser(t *testing.T) {
	tab := chrome(t)
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
	get(t, url+"/prices")

	rows := `document.querySelectorAll('[aria-label^="Workers of pool"] tbody tr').length`
	requests := func(n int) string {
		return fmt.Sprintf(`document.querySelector('[aria-label="Routes of prices"] tbody td:nth-child(2)').textContent === "%d"`, n)
	}
	tab.do(chromedp.Navigate(url + "/__rpipe__/"))
	tab.wait(rows + ` === 2`)
	tab.wait(requests(1))
	if ready := tab.value(`document.querySelector('[role=status]').textContent`); ready != "ready" {
		t.Error(ready)
	}
	tab.value(`document.querySelector('h3').marked = true`)

	get(t, url+"/prices")
	tab.wait(requests(2))
	get(t, url+"/fail")
	get(t, url+"/<img src=x onerror=alert(1)>")
	failures := `document.querySelector('[aria-labelledby=errors]')`
	tab.wait(failures + `.querySelectorAll('details').length === 1`)
	tab.value(failures + `.querySelector('summary').click()`)
	if text := tab.value(failures + `.querySelector('pre').textContent`); !strings.Contains(text, "object 'prices' not found") {
		t.Errorf("the error is %q", text)
	}
	// A worker dies; the page tells of it, and of the one in its place.
	get(t, url+"/die")
	tab.wait(failures + `.textContent.includes('killed by SIGKILL')`)
	tab.wait(`document.querySelector('[aria-labelledby=pools]').textContent.includes('1 SIGKILL')`)
	tab.wait(rows + ` === 2`)
	// The page is changed, not written again: what was there and open is so still.
	tab.wait(`document.querySelector('h3').marked && ` + failures + `.querySelectorAll('details[open]').length === 1`)
	tab.wait(`document.querySelector('[aria-label="Routes of prices"]').textContent.includes('/<img src=x onerror=alert(1)>')`)
	tab.wait(`document.querySelectorAll('#page img, #page script').length === 0`)

	tab.screen(390, 844, 2, "dark")
	if width := tab.value(`document.documentElement.scrollWidth`); width != "390" {
		t.Errorf("on a phone of 390 points the page is %s wide", width)
	}
	// The server goes: the page says so, and shows what it knew.
	stop()
	tab.wait(`(document.querySelector('[role=alert]') || document).textContent?.startsWith('The server does not answer')`)
	tab.wait(rows + ` === 2`)
}

type sourceFunc func() Snapshot

func (f sourceFunc) Snapshot() Snapshot { return f() }

// TestAFullStatusPageFitsItsScreen: with all that it can show at once, open, in
// light and dark, on a desk and on a phone. With -shots it writes pictures.
func TestAFullStatusPageFitsItsScreen(t *testing.T) {
	tab := chrome(t)
	server := httptest.NewServer(pictured(t))
	defer server.Close()
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
		tab.screen(s.width, s.height, s.scale, s.scheme)
		tab.do(chromedp.Navigate(server.URL + "/__rpipe__/status"))
		tab.wait(`document.querySelectorAll("h3").length === 4`) // three APIs and a pool
		if s.open {
			tab.value(`document.querySelectorAll("details").forEach(d => d.open = true)`)
		}
		if width := tab.value(`document.documentElement.scrollWidth`); width != fmt.Sprint(s.width) {
			t.Errorf("%s is %s wide on a screen of %d", s.name, width, s.width)
		}
		dark := tab.value(`getComputedStyle(document.body).backgroundColor.match(/\d+/)[0] < 100`)
		if dark != fmt.Sprint(s.scheme == "dark") {
			t.Errorf("%s is dark: %s", s.name, dark)
		}
		if *shots == "" {
			continue
		}
		tab.value(`window.scrollTo(0, ` + s.from + `)`)
		png, err := chromedp.Run(tab.ctx, chromedp.CaptureScreenshot())
		if err == nil {
			err = os.WriteFile(filepath.Join(*shots, "status-"+s.name+".png"), png, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
