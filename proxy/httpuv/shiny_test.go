//go:build unix

package httpuv

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rpipe-dev/rpipe/rpool"
)

// shinyApp tells which worker it is on, doubles a number, and gives a file.
const shinyApp = `library(shiny)
shinyApp(
  ui = fluidPage(
    numericInput("n", "n", 3),
    textOutput("twice"),
    textOutput("pid"),
    downloadButton("file", "file")
  ),
  server = function(input, output, session) {
    output$twice <- renderText(paste("twice is", 2 * input$n))
    output$pid <- renderText(paste("pid", Sys.getpid()))
    output$file <- downloadHandler("pid.txt", function(path) cat(Sys.getpid(), file = path))
  }
)
`

// browser is a real one, with a profile of its own.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("needs chromium, from the system's packages")
	}
	dir := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.NoSandbox, chromedp.DisableGPU)
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
}

// script runs in the page, and is waited for where its value is a promise.
func script[T any](t *testing.T, ctx context.Context, code string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](code, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("%s: %v", code, err)
	}
	return v
}

// until waits for a condition in the page.
func until(t *testing.T, ctx context.Context, condition string) {
	t.Helper()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](condition)); err != nil {
		t.Fatalf("%s: %v", condition, err)
	}
}

// open opens the app in a tab and returns when its session has begun.
func open(t *testing.T, ctx context.Context, url string) (pid string) {
	t.Helper()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("open the app: %v", err)
	}
	until(t, ctx, `document.querySelector("#pid").innerText.startsWith("pid ")`)
	return strings.TrimPrefix(script[string](t, ctx, `document.querySelector("#pid").innerText`), "pid ")
}

// fetch is a file of the app's, asked for by the page itself.
func fetch(t *testing.T, ctx context.Context) string {
	t.Helper()
	until(t, ctx, `document.querySelector("#file").href.includes("/session/")`)
	return script[string](t, ctx, `fetch(document.querySelector("#file").href).then(r => r.text())`)
}

func serveShiny(t *testing.T, c Config) *served {
	t.Helper()
	c.Kind, c.Dir = Shiny, "."
	return serve(t, c, map[string]string{"app.R": shinyApp, "www/a.txt": "a file"}, nil)
}

func TestShinyInABrowser(t *testing.T) {
	t.Parallel()
	s := serveShiny(t, Config{Workers: Workers{Max: 3, Sessions: 1}})
	if status, body := s.get("/a.txt"); status != 200 || body != "a file" {
		t.Errorf("%d %q", status, body)
	}
	ctx := browser(t)
	pid := open(t, ctx, s.url)
	until(t, ctx, `document.querySelector("#twice").innerText == "twice is 6"`)
	script[any](t, ctx, `Shiny.setInputValue("n", 21)`)
	until(t, ctx, `document.querySelector("#twice").innerText == "twice is 42"`)
	if got := fetch(t, ctx); got != pid {
		t.Errorf("a download comes from worker %s, the session is on %s", got, pid)
	}
	// Another tab of the same browser, whose worker is full.
	tab, cancel := chromedp.NewContext(ctx)
	defer cancel()
	other := open(t, tab, s.url)
	if other == pid {
		t.Errorf("two sessions are on worker %s, which may have one", pid)
	}
	for range 2 {
		if got := fetch(t, ctx); got != pid {
			t.Errorf("the first tab's download comes from worker %s, its session is on %s", got, pid)
		}
		if got := fetch(t, tab); got != other {
			t.Errorf("the second tab's download comes from worker %s, its session is on %s", got, other)
		}
	}
	// A browser that comes back finds its worker.
	// A page that is only left keeps its session for as long as one may go back to it.
	cancel()
	eventually(t, "the second tab's session is over", func() bool {
		open := 0
		for _, w := range s.Status().Workers {
			open += w.Websockets
		}
		return open == 1
	})
	tab, cancel = chromedp.NewContext(ctx)
	defer cancel()
	back := open(t, tab, s.url)
	if back != other {
		t.Errorf("a browser that comes back goes to worker %s, its session was on %s", back, other)
	}
	if seen := script[string](t, tab, `document.cookie`); strings.Contains(seen, "rpipe_worker") {
		t.Errorf("scripts see the cookie: %q", seen)
	}
}

// A worker that was given back and serves again has another id, though Shiny
// itself takes one in the life of a process.
func TestDownloadsFindAWorkerThatServesAgain(t *testing.T) {
	t.Parallel()
	pool, err := rpool.New(rpool.Options{Max: 1, Grace: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	again := func() *served {
		t.Helper()
		return serve(t, Config{Kind: Shiny, Dir: ".", Workers: Workers{Max: 1}},
			map[string]string{"app.R": shinyApp, "www/a.txt": "a file"}, func(o *Options) { o.Pool = pool })
	}
	first := again()
	ctx := browser(t)
	before := open(t, ctx, first.url)
	ended, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	first.Drain(ended)
	pid := open(t, ctx, again().url)
	if got := fetch(t, ctx); got != pid {
		t.Errorf("a download comes from worker %s, the session is on %s", got, pid)
	}
	if pid != before {
		t.Errorf("worker %s serves, not %s, which was given back", pid, before)
	}
}

func TestAShinySessionWhoseWorkerDiesIsGreyedOut(t *testing.T) {
	t.Parallel()
	s := serveShiny(t, Config{Workers: Workers{Max: 1}})
	ctx := browser(t)
	pid := open(t, ctx, s.url)
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Kill(n, syscall.SIGKILL)
	until(t, ctx, `document.querySelector("#shiny-disconnected-overlay") !== null`)
	if again := open(t, ctx, s.url); again == pid {
		t.Error("a dead worker serves")
	}
}
