//go:build unix

package rpool

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// promising answers what its path says, evaluated, within a promise or not.
const promising = `local({
	loadNamespace("promises")
	ok <- function(body) list(status = 200L, headers = list(), body = as.character(body))
	function(req) eval(str2lang(req$PATH_INFO), list(ok = ok, promise = promises::promise, later = later::later))
})`

func TestPromisesAreWaitedFor(t *testing.T) {
	t.Parallel()
	w := answering(t, promising, nil)
	says := func(code, want string) {
		t.Helper()
		if a := answer(t, w, get(code)); string(a.Body) != want {
			t.Errorf("%s: %q", code, a.Body)
		}
	}
	fails := func(code, want string) {
		t.Helper()
		var c *ConditionError
		if _, err := w.Do(t.Context(), get(code)); !errors.As(err, &c) || !strings.Contains(c.Message, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
	says(`promises::promise_resolve(ok(1))`, "1")
	says(`promise(function(resolve, reject) later(function() resolve(ok(2)), 0.05))`, "2")
	says(`promises::then(promise(function(resolve, reject) later(function() resolve(3), 0.01)), ok)`, "3")
	fails(`promises::promise_reject("nope")`, "nope")
	fails(`promise(function(resolve, reject) later(function() reject(simpleError("late no")), 0.01))`, "late no")
	fails(`promise(function(resolve, reject) later(function() reject(42), 0.01))`, "the promise was rejected with")
	fails(`promise(function(resolve, reject) later(function() stop("lost"), 0.01))`, "lost") // nothing can settle it any more
	says(`ok("still here")`, "still here")
}

func TestCallbacksThatOutliveTheirRequest(t *testing.T) {
	t.Parallel()
	w := answering(t, promising, nil)
	// One that is due runs when the request has been answered.
	answer(t, w, get(`{ later(function() assign("ran", "at once", globalenv())); ok(1) }`))
	if a := answer(t, w, get(`ok(get0("ran", globalenv()))`)); string(a.Body) != "at once" {
		t.Errorf("%q", a.Body)
	}
	// One that fails while somebody else waits for a promise fails nobody.
	answer(t, w, get(`{ later(function() stop("stray"), 0.05); ok(1) }`))
	reply, err := w.Do(t.Context(), get(`promise(function(resolve, reject) later(function() resolve(ok(2)), 0.2))`))
	if err != nil || string(reply.HTTP.Body) != "2" || !strings.Contains(reply.Output, "stray") {
		t.Errorf("%v, %+v", err, reply)
	}
}

func TestAFuturePlanOfAWorker(t *testing.T) {
	t.Parallel()
	env := &Environment{Start: StartFork, Handler: promising, AfterFork: `future::plan(future::multisession, workers = 2)`}
	w := started(t, launched(t, env, nil))
	a := answer(t, w, get(`promises::then(promises::future_promise(Sys.getpid()), function(pid) ok(pid != Sys.getpid()))`))
	if string(a.Body) != "TRUE" {
		t.Errorf("%q", a.Body)
	}
}

func TestAPromiseThatNeverSettlesIsStopped(t *testing.T) {
	t.Parallel()
	w := answering(t, promising, nil)
	answer(t, w, get(`ok(1)`))
	r := get(`promise(function(resolve, reject) NULL)`)
	r.Timeout = 200 * time.Millisecond
	start := time.Now()
	var late *TimeoutError
	if _, err := w.Do(t.Context(), r); !errors.As(err, &late) || late.Step != "SIGINT" {
		t.Errorf("got %v", err)
	}
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("it took %v", d)
	}
	if a := answer(t, w, get(`ok("alive")`)); string(a.Body) != "alive" {
		t.Errorf("%q", a.Body)
	}
}

// plumber makes a 500 of whatever it catches; a request that was stopped must end
// as such nevertheless, and the next one must not notice.
func TestInterruptsHitNoInnocentHTTPRequest(t *testing.T) {
	t.Parallel()
	w := answering(t, `local({
		pr <- plumber::pr()
		pr <- plumber::pr_get(pr, "/now", function(n) n)
		pr <- plumber::pr_get(pr, "/sleep", function(n) { Sys.sleep(0.02); n })
		pr <- plumber::pr_get(pr, "/spin", function(n) { x <- 0; for (i in 1:1e5) x <- x + i; n })
		pr <- plumber::pr_get(pr, "/catch", function(n) tryCatch({ Sys.sleep(0.02); n }, interrupt = function(i) stop("caught")))
		pr <- plumber::pr_get(pr, "/promise", function(n) promises::promise(function(resolve, reject) later::later(function() { Sys.sleep(0.005); resolve(n) }, 0.01)))
		pr <- plumber::pr_set_error(pr, function(req, res, err) { res$status <- 500L; conditionMessage(err) })
		function(req) pr$call(req)
	})`, nil)
	paths := []string{"/now", "/sleep", "/spin", "/catch", "/promise"}
	rng := rand.New(rand.NewPCG(3, 4))
	ask := func(ctx context.Context, path, n string) (*HTTPResponse, error) {
		r := get(path)
		r.HTTP.Vars[2].Value = "?n=" + n
		reply, err := w.Do(ctx, r)
		if err != nil {
			return nil, err
		}
		return reply.HTTP, nil
	}
	for _, path := range paths {
		if _, err := ask(t.Context(), path, "0"); err != nil {
			t.Fatal(err)
		}
	}
	var stopped, through int
	for i := range interrupts {
		n := string(rune('a' + i%26))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(rng.Int64N(int64(20*time.Millisecond))), errGivenUp)
		a, err := ask(ctx, paths[rng.IntN(len(paths))], n)
		cancel()
		switch {
		case errors.Is(err, errGivenUp):
			stopped++
		case err != nil:
			t.Fatalf("request %d: %v", i, err)
		case a.Status != 200 || string(a.Body) != `["`+n+`"]`:
			t.Fatalf("request %d: an answer came of an interrupt: %d %s", i, a.Status, a.Body)
		default:
			through++
		}
		a, err = ask(t.Context(), paths[i%len(paths)], n) // the innocent one
		if err != nil || a.Status != 200 || string(a.Body) != `["`+n+`"]` {
			t.Fatalf("the request after %d on %s: %v, %+v", i, paths[i%len(paths)], err, a)
		}
	}
	t.Logf("%d stopped, %d came through", stopped, through)
	if stopped < interrupts/10 {
		t.Errorf("only %d of %d requests were stopped", stopped, interrupts)
	}
}

func TestAnInterruptedHandlerIsAnInterrupt(t *testing.T) {
	t.Parallel()
	p := realPool(t, Options{Max: 1})
	env := realEnvironment()
	env.Handler = promising
	l, err := p.Acquire(t.Context(), env, Interactive)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	path := t.TempDir() + "/ready"
	done := make(chan error, 1)
	go func() {
		_, err := l.Do(t.Context(), get(`promise(function(resolve, reject) file.create("`+path+`"))`))
		done <- err
	}()
	appears(t, path)
	l.Interrupt()
	var c *ConditionError
	if err := <-done; !errors.As(err, &c) || !slices.Contains(c.Classes, "interrupt") {
		t.Errorf("got %v", err)
	}
}
