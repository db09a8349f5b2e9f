//go:build unix

package rpool

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/rdata"
)

// Interrupts come at random moments of requests that sleep, loop, return at once
// or have just returned. Whoever was not cancelled must get the right answer.
func TestInterruptsHitNoInnocentRequest(t *testing.T) {
	t.Parallel()
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	codes := []string{
		`{Sys.sleep(0.03); %d}`, `{x <- 0; for (i in 1:3e5) x <- x + i; %d}`, `%d`,
		`{try(Sys.sleep(0.003), silent = TRUE); %d}`, `{sort(runif(2e4)); %d}`,
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var stopped, through int
	for i := range interrupts {
		code := codes[rng.IntN(len(codes))]
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Duration(rng.Int64N(int64(4*time.Millisecond))), errGivenUp)
		_, err := p.Do(ctx, numbered(code, i))
		cancel()
		switch {
		case err == nil:
			through++
		case errors.Is(err, errGivenUp):
			stopped++
		default:
			t.Fatalf("request %d: %v", i, err)
		}
		reply, err := p.Do(t.Context(), numbered(`%d`, i)) // the innocent one
		if err != nil {
			t.Fatalf("request after interrupt %d: %v", i, err)
		}
		if got := value(t, reply).(*rdata.Double).Values[0]; got != float64(i) {
			t.Fatalf("request after interrupt %d answers %v", i, got)
		}
	}
	t.Logf("%d stopped, %d came through", stopped, through)
	if stopped < interrupts/10 {
		t.Errorf("only %d of %d requests were stopped: the test interrupts too late", stopped, interrupts)
	}
}

var errGivenUp = errors.New("given up")

// R loads its own functions at their first use. An interrupt at that moment must
// not leave the worker with half of one: without load_base() one in twenty did.
func TestAnInterruptLeavesRWhole(t *testing.T) {
	t.Parallel()
	tpl := launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil)
	sorts := run(`x <- sort(as.numeric(20000:1)); x[1]`)
	for i := range 60 {
		p := started(t, tpl)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Microsecond+time.Duration(i)*50*time.Microsecond, errGivenUp)
		if _, err := p.Do(ctx, sorts); err != nil && !errors.Is(err, errGivenUp) {
			t.Fatal(err)
		}
		cancel()
		for range 2 {
			if _, err := p.Do(t.Context(), sorts); err != nil {
				t.Fatalf("after an interrupt at the first use in fork %d: %v", i, err)
			}
		}
		p.kill()
	}
}

func TestALateInterruptIsSwallowed(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	for i := range 50 {
		// An interrupt of an idle worker, as if it had missed its request.
		if err := p.group.signal(p.pid, rungs[0]); err != nil {
			t.Fatal(err)
		}
		p.recover(&halt{})
		if _, err := p.Do(t.Context(), numbered(`{Sys.sleep(0.001); %d}`, i)); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
	}
}

func TestLadder(t *testing.T) {
	t.Parallel()
	env := &Environment{Start: StartFork, Setup: evalCode}
	patient, hasty := launched(t, env, nil), launched(t, env, &Options{Grace: 100 * time.Millisecond})
	steps := func(tpl template, code, step string, lives bool) {
		t.Helper()
		p := started(t, tpl)
		_, err := p.Do(t.Context(), &Request{Kind: Call, Data: run(code).Data, Timeout: 500 * time.Millisecond}) // long enough for a busy machine to have begun
		var late *TimeoutError
		if !errors.As(err, &late) || late.Step != step {
			t.Errorf("%s: got %v, want it stopped by %s", code, err, step)
		}
		if lives == (p.Death() != nil) {
			t.Errorf("%s: death %v, want it to live: %v", code, p.Death(), lives)
		}
		if lives {
			if _, err := p.Do(t.Context(), run(`state`)); err != nil {
				t.Errorf("%s: the worker lost its state: %v", code, err)
			}
		}
	}
	steps(patient, `state <- 1; Sys.sleep(60)`, "SIGINT", true)
	steps(patient, `state <- 1; repeat NULL`, "SIGINT", true)
	steps(patient, `state <- 1; tryCatch(repeat NULL, interrupt = function(i) stop("wrapped"))`, "SIGINT", true)
	// Code that does not listen, as compiled code does not.
	steps(hasty, `suspendInterrupts(repeat NULL)`, "SIGTERM", false)
	steps(hasty, `tools::pskill(Sys.getpid(), tools::SIGSTOP)`, "SIGKILL", false)
}

func TestACancelledContextIsTheError(t *testing.T) {
	p := started(t, launched(t, &Environment{Start: StartFork, Setup: evalCode}, nil))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer time.AfterFunc(30*time.Millisecond, func() { cancel(errGivenUp) }).Stop()
	start := time.Now()
	if _, err := p.Do(ctx, run(`Sys.sleep(60)`)); err != errGivenUp {
		t.Errorf("got %v, want the context's cause", err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("it took %v", d)
	}
	if _, err := p.Do(ctx, run(`1`)); err != errGivenUp {
		t.Errorf("with an ended context: got %v, want its cause", err)
	}
}
