package webapi

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnOpenBreakerLetsRequestsWaitForItsProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var sent []time.Duration
		c := bubble(t, "retry: {max_attempts: 50, initial: 10ms, max: 10ms}\ncircuit_breaker: {failures: 5, of: 10, cooldown: 30s}", Options{},
			func(*http.Request) (int, http.Header, error) {
				mu.Lock()
				defer mu.Unlock()
				sent = append(sent, time.Since(start))
				if time.Since(start) < 45*time.Second { // down for so long
					return 503, nil, nil
				}
				return 200, nil, nil
			})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := get(t, c, "http://x/"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		in := func(from, to time.Duration) (n int) {
			for _, at := range sent {
				if at >= from && at < to {
					n++
				}
			}
			return n
		}
		// 20 had begun when it opened; then one probe fails, and 30 s later one does well.
		if a, b, c := in(0, 29*time.Second), in(29*time.Second, 59*time.Second), in(59*time.Second, time.Hour); a > 20 || b != 1 || c != 20 {
			t.Errorf("%d requests before the cooldown, %d in the second, %d after it", a, b, c)
		}
	})
}

func TestABreakerIsOfOneHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t, "retry: {max_attempts: 1}\ncircuit_breaker: {failures: 2, of: 2, cooldown: 30s}", Options{},
			func(r *http.Request) (int, http.Header, error) {
				if r.Host == "bad" {
					return 500, nil, nil
				}
				return 200, nil, nil
			})
		for range 2 {
			get(t, c, "http://bad/")
		}
		start := time.Now()
		if _, err := get(t, c, "http://good/"); err != nil || time.Since(start) > 0 {
			t.Errorf("another host: %v after %v", err, time.Since(start))
		}
		if get(t, c, "http://bad/"); time.Since(start) != 30*time.Second {
			t.Errorf("the bad host was asked again after %v", time.Since(start))
		}
	})
}

func TestABreakerThatStaysOpenFailsARequestAfterMaxElapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t, "retry: {max_attempts: 1, max_elapsed: 10s}\ncircuit_breaker: {failures: 1, of: 1, cooldown: 1h}", Options{},
			func(r *http.Request) (int, http.Header, error) { return 500, nil, nil })
		get(t, c, "http://bad/")
		start := time.Now()
		_, err := get(t, c, "http://bad/")
		if err == nil || !strings.Contains(err.Error(), "circuit breaker is open") || time.Since(start) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestRefusalsDoNotOpenABreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := bubble(t, "retry: {max_attempts: 1}\ncircuit_breaker: {failures: 1, of: 1}", Options{},
			func(r *http.Request) (int, http.Header, error) { return 429, nil, nil })
		start := time.Now()
		for range 10 {
			get(t, c, "http://x/")
		}
		if time.Since(start) > 0 {
			t.Errorf("10 refusals took %v", time.Since(start))
		}
	})
}
