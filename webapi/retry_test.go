package webapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

// fake answers requests in a bubble, where no network is.
type fake func(r *http.Request) (status int, header http.Header, err error)

func (f fake) RoundTrip(r *http.Request) (*http.Response, error) {
	if t := r.Context(); t.Err() != nil {
		return nil, t.Err()
	}
	status, header, err := f(r)
	if err != nil {
		return nil, err
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("body")), ContentLength: 4, Request: r}, nil
}

// bubble is a client whose requests f answers.
func bubble(t *testing.T, yaml string, o Options, f fake) *Client {
	t.Helper()
	c, err := New(config(t, yaml), o)
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport.(*signer).next = f
	return c
}

// times are when requests came, from the bubble's beginning.
type times struct {
	start time.Time
	at    []time.Duration
}

func (s *times) mark() { s.at = append(s.at, time.Since(s.start)) }

func TestWaitsAreDrawnBelowADoublingBound(t *testing.T) {
	bounds := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second}
	largest := make([]time.Duration, len(bounds))
	for range 300 {
		synctest.Test(t, func(t *testing.T) {
			log := times{start: time.Now()}
			c := bubble(t, "retry: {max_attempts: 6, max: 3s}", Options{}, func(*http.Request) (int, http.Header, error) {
				log.mark()
				return 503, nil, nil
			})
			if _, err := get(t, c, "http://x/"); err == nil {
				t.Error("503 is no error")
			}
			if len(log.at) != 6 {
				t.Fatalf("%d tries", len(log.at))
			}
			for i := range bounds {
				wait := log.at[i+1] - log.at[i]
				largest[i] = max(largest[i], wait)
				if wait > bounds[i] {
					t.Errorf("the wait after try %d is %v, above %v", i+1, wait, bounds[i])
				}
			}
		})
	}
	for i, b := range bounds {
		if largest[i] < b*3/4 { // 300 draws, none in the upper quarter: 1 in 10^37
			t.Errorf("of 300 waits after try %d none is above %v: they are not drawn from all of 0 to %v", i+1, largest[i], b)
		}
	}
}

func TestRetryAfterIsTheLeastWait(t *testing.T) {
	f := func(yaml, header string, from, to time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			log := times{start: time.Now()}
			c := bubble(t, yaml, Options{}, func(*http.Request) (int, http.Header, error) {
				log.mark()
				if len(log.at) == 1 {
					h := header
					if h == "date" {
						h = time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat)
					}
					return 429, http.Header{"Retry-After": {h}}, nil
				}
				return 200, nil, nil
			})
			if _, err := get(t, c, "http://x/"); err != nil {
				t.Fatal(err)
			}
			if wait := log.at[1]; wait < from || wait > to {
				t.Errorf("Retry-After: %s made it wait %v", header, wait)
			}
		})
	}
	f("", "7", 7*time.Second, 8*time.Second)
	f("", "120", 120*time.Second, 133*time.Second) // longer than retry.max
	f("", "date", 89*time.Second, 100*time.Second)
	f("", "0", 0, 500*time.Millisecond)
	f("", "soon", 0, 500*time.Millisecond)
	f("", "-5", 0, 500*time.Millisecond)
}

func TestARetryAfterFarAwayIsALongWait(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := Retry{MaxAttempts: 5, Initial: configs.Duration(time.Second), Max: configs.Duration(time.Minute)}.policy()
	for _, said := range []string{"Fri, 31 Dec 9999 23:59:59 GMT", "9223372036854775807", "4294967296"} {
		asked := retryAfter(http.Header{"Retry-After": {said}}, now)
		for range 100 {
			if wait := p.wait(5, asked); wait < 60*365*24*time.Hour {
				t.Fatalf("%s: asked for %v, waits %v", said, asked, wait)
			}
		}
	}
}

func TestARetryAfterBeyondMaxElapsedEndsTheTriesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := bubble(t, "", Options{}, func(*http.Request) (int, http.Header, error) {
			return 429, http.Header{"Retry-After": {"3600"}}, nil
		})
		_, err := get(t, c, "http://x/")
		if err == nil || !strings.Contains(err.Error(), "asks to wait 1h0m0s, longer than retry.max_elapsed") || time.Since(start) > time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestNoTryBeginsAfterMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := times{start: time.Now()}
		c := bubble(t, "retry: {max_attempts: 1000, initial: 10s, max: 10s, max_elapsed: 1m}", Options{}, func(*http.Request) (int, http.Header, error) {
			log.mark()
			return 500, nil, nil
		})
		_, err := get(t, c, "http://x/")
		last := log.at[len(log.at)-1]
		if err == nil || last > time.Minute || len(log.at) < 5 || len(log.at) > 100 {
			t.Errorf("%d tries, the last after %v: %v", len(log.at), last, err)
		}
	})
}

func TestTheRateIsNeverExceeded(t *testing.T) {
	f := func(yaml string, perSecond float64, burst int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			log := times{start: time.Now()}
			c := bubble(t, yaml, Options{}, func(*http.Request) (int, http.Header, error) {
				log.mark()
				return 200, nil, nil
			})
			const n = 200
			for range n {
				if _, err := get(t, c, "http://x/"); err != nil {
					t.Fatal(err)
				}
			}
			for i := range log.at {
				in := 0
				for _, at := range log.at[i:] {
					if at-log.at[i] < time.Second {
						in++
					}
				}
				if float64(in) > perSecond+float64(burst) {
					t.Errorf("%s: %d requests in the second from %v on", yaml, in, log.at[i])
				}
			}
			if want := time.Duration(float64(n-burst) / perSecond * float64(time.Second)); log.at[n-1] < want-time.Millisecond || log.at[n-1] > want+want/100 {
				t.Errorf("%s: %d requests took %v, want %v", yaml, n, log.at[n-1], want)
			}
		})
	}
	f("rate: 10/s", 10, 1)
	f("rate: 600/m", 10, 1)
	f("rate: 50/5s", 10, 1)
	f("rate: {limit: 10/s, burst: 20}", 10, 20)
	f("rate: 0.5/s", 0.5, 1)
}

// TestNoSecondHasMoreThanItsShare: however many come at once, as they do when the
// machine was busy.
func TestNoSecondHasMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &window{left: make([]time.Time, 7)}
		var mu sync.Mutex
		var passed []time.Time
		var wg sync.WaitGroup
		for i := range 70 {
			wg.Go(func() {
				time.Sleep(time.Duration(i/35) * 300 * time.Millisecond) // two crowds
				if err := w.wait(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				passed = append(passed, time.Now())
			})
		}
		start := time.Now()
		wg.Wait()
		if took := time.Since(start); took != 9*time.Second { // ten groups of seven
			t.Errorf("70 events, 7 a second, took %v", took)
		}
		for i := 7; i < len(passed); i++ {
			if passed[i].Sub(passed[i-7]) < time.Second {
				t.Errorf("8 events passed within %v", passed[i].Sub(passed[i-7]))
			}
		}
	})
}

func TestRetriesCountForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := times{start: time.Now()}
		c := bubble(t, "rate: 1/s\nretry: {initial: 1ms, max: 1ms}", Options{}, func(*http.Request) (int, http.Header, error) {
			log.mark()
			return 503, nil, nil
		})
		get(t, c, "http://x/")
		if last := log.at[len(log.at)-1]; last < 4*time.Second-time.Microsecond || last > 4*time.Second {
			t.Errorf("5 tries at 1/s took %v", last)
		}
	})
}

func TestALabelSharesARate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiters := new(Limiters)
		log := times{start: time.Now()}
		var clients []*Client
		for range 2 {
			clients = append(clients, bubble(t, "rate: {limit: 10/s, label: orders}", Options{Limiters: limiters}, func(*http.Request) (int, http.Header, error) {
				log.mark()
				return 200, nil, nil
			}))
		}
		for i := range 21 {
			get(t, clients[i%2], "http://x/")
		}
		if last := log.at[20]; last < 1999*time.Millisecond || last > 2001*time.Millisecond {
			t.Errorf("21 requests of two clients at 10/s took %v", last)
		}
		_, err := New(config(t, "rate: {limit: 20/s, label: orders}"), Options{Limiters: limiters})
		if err == nil || !strings.Contains(err.Error(), "labelled orders is 20/s with burst 1 here and 10/s with burst 1 elsewhere") {
			t.Errorf("another rate of the same label: %v", err)
		}
	})
}

func TestWhoWaitsToBeSentAgainHoldsNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := make(places, 1)
		bad := bubble(t, "retry: {initial: 1h, max: 1h, max_elapsed: 0}", Options{Gate: g}, func(*http.Request) (int, http.Header, error) { return 503, nil, nil })
		good := bubble(t, "", Options{Gate: g}, func(*http.Request) (int, http.Header, error) { return 200, nil, nil })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := bad.Do(ctx, &Request{Method: "GET", URL: "http://x/"})
			ended <- err
		}()
		synctest.Wait()
		start := time.Now()
		if _, err := get(t, good, "http://x/"); err != nil || time.Since(start) > 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if len(g) != 0 {
			t.Error("a place is still taken")
		}
	})
}

type places chan struct{}

func (g places) Enter(ctx context.Context) error { g <- struct{}{}; return nil }
func (g places) Leave()                          { <-g }
