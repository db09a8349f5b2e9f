//go:build unix

// Package browsertest opens pages in a real Chromium for tests. What a page complains of,
// and every request to another host than the one it came from, fails the test.
package browsertest

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Tab is a tab of a headless browser.
type Tab struct {
	t    testing.TB
	ctx  context.Context
	base string

	mu      sync.Mutex
	outside []string
}

// Open opens a tab for pages under base, and closes it with the test, which is skipped
// where there is no Chromium.
func Open(t testing.TB, base string) *Tab {
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
	b := &Tab{t: t, base: base}
	o := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(name), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	browser, cancel := chromedp.NewExecAllocator(context.Background(), o...)
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithListener(b.hear))
	b.ctx = ctx
	t.Cleanup(func() {
		closeTab()
		cancel()
		chromedp.FromContext(ctx).Allocator.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, u := range b.outside {
			t.Errorf("the page asks %s, which is not its own server", u)
		}
	})
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, log.Enable, cdp.Empty{})
		return err
	}), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, network.Enable, network.EnableParams{})
		return err
	}))
	return b
}

func (b *Tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.t.Errorf("the page throws: %+v", e.ExceptionDetails)
	case *log.EventEntryAdded:
		if !strings.Contains(e.Entry.Text, "Failed to load resource") {
			b.t.Errorf("the page complains: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && strings.HasPrefix(u.Scheme, "http") && !strings.HasPrefix(e.Request.URL, b.base) {
			b.mu.Lock()
			b.outside = append(b.outside, e.Request.URL)
			b.mu.Unlock()
		}
	}
}

func (b *Tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Go opens a page.
func (b *Tab) Go(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// Value is that of an expression in JavaScript, as a string.
func (b *Tab) Value(expression string) string {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`String(`+expression+`)`))
	if err != nil {
		b.t.Fatal(expression, err)
	}
	return v
}

// JSON decodes the value of an expression.
func (b *Tab) JSON(expression string, into any) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(b.Value(`JSON.stringify(`+expression+`)`)), into); err != nil {
		b.t.Fatal(expression, err)
	}
}

// Wait is until a condition in JavaScript holds.
func (b *Tab) Wait(condition string) {
	b.t.Helper()
	again := time.NewTicker(40 * time.Millisecond)
	defer again.Stop()
	enough := time.After(40 * time.Second)
	for b.now(condition) != "true" {
		select {
		case <-again.C:
		case <-enough:
			b.t.Fatalf("it did not come to be: %s\nat %s\n%s", condition, b.Value(`location.href`), b.Value(`document.body.innerText`))
		}
	}
}

// now is the value of a condition; a page that is being left has none.
func (b *Tab) now(condition string) string {
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`(() => { try { return String(`+condition+`) } catch (e) { return String(e) } })()`))
	if err != nil {
		return err.Error()
	}
	return v
}

// Click clicks the element that a selector finds, once it is there.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	find := `document.querySelector(` + quote(selector) + `)`
	b.Wait(find + ` !== null`)
	b.Value(find + `.click()`)
}

// Type writes into the field that a selector finds.
func (b *Tab) Type(selector, text string) {
	b.t.Helper()
	find := `document.querySelector(` + quote(selector) + `)`
	b.Wait(find + ` !== null`)
	b.Value(`(e => { e.focus(); e.value = ` + quote(text) + `; e.dispatchEvent(new Event("input", {bubbles: true})); e.dispatchEvent(new Event("change", {bubbles: true})) })(` + find + `)`)
}

// Key presses a key, as KeyboardEvent.key names it.
func (b *Tab) Key(key string) {
	b.t.Helper()
	b.Value(`document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: ` + quote(key) + `, bubbles: true, cancelable: true}))`)
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// Screen is a size in points, and light or dark; under 500 points it is a phone.
func (b *Tab) Screen(width, height int64, scale float64, scheme string) {
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

// Shot writes a picture of what the screen shows.
func (b *Tab) Shot(path string) {
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
