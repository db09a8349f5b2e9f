package rpool

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	inBubble(t, Options{Max: 3, Reserve: 1}, &fakeR{Spawn: true, RSS: 10}, func(t *testing.T, w *world) {
		env := &Environment{Packages: []string{"stats"}, Sources: []string{"nosuch.R"}}
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "sleep", Timeout: 2 * time.Second})
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "timeout", Timeout: time.Second})
		w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: "error"})
		a, b := w.acquire(env, Bulk), w.acquire(env, Bulk)
		w.waiting(w.Context(), env, Bulk)
		s := w.p.Stats()
		e := s.Environments[0]
		want := Counts{
			Up: 2, Busy: 2, WaitingBulk: 1, RSS: 20,
			Requests: 3, BusyTime: 3 * time.Second, Errors: 1, Timeouts: 1, Launches: 1, Started: 2,
		}
		if e.Counts != want || s.Total != want {
			t.Errorf("got  %+v\nwant %+v", e.Counts, want)
		}
		if s.Max != 3 || s.Reserve != 1 || e.Fingerprint != env.Fingerprint() || e.Template == 0 || e.Forks ||
			e.WhySpawn != "the test wants it" || e.Packages[0] != "stats" || e.Sources[0] != "nosuch.R" {
			t.Errorf("got %+v", s)
		}
		a.Release()
		b.Release()
	})
}

// Every field must be summed, also one that is added later.
func TestCountsAdd(t *testing.T) {
	var one, sum Counts
	v := reflect.ValueOf(&one).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(i + 1))
	}
	sum.add(&one)
	if sum != one {
		t.Errorf("got %+v, want %+v", sum, one)
	}
}

func TestStatsTellOfEachWorker(t *testing.T) {
	inBubble(t, Options{Max: 2, MaxLifetime: time.Minute, IdleTimeout: time.Hour}, &fakeR{RSS: 7}, func(t *testing.T, w *world) {
		env := environment("a")
		start := time.Now()
		w.p.Warm(w.Context(), env, 2)
		after(10 * time.Second)
		l := w.acquire(env, Bulk)
		l.Do(w.Context(), &Request{Kind: Call})
		after(5 * time.Second)
		want := []WorkerStats{
			{Pid: 2, Since: start, Born: start, RSS: 7},
			{Pid: 3, Busy: true, Priority: Bulk, Since: start.Add(10 * time.Second), Born: start, Requests: 1, RSS: 7},
		}
		if got := w.p.Stats().Environments[0].Workers; !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		l.Release()
		after(50 * time.Second)
		if s := w.p.Stats(); !reflect.DeepEqual(s.Recycled, map[string]int64{"max_lifetime": 2}) {
			t.Errorf("recycled %v", s.Recycled)
		}
	})
}

func TestStatsTellHowLongRequestsWaitedAndRan(t *testing.T) {
	inBubble(t, Options{Max: 1, QueueLength: 2, QueueWait: 4 * time.Second}, &fakeR{}, func(t *testing.T, w *world) {
		env := environment("a")
		w.p.Warm(w.Context(), env, 1)
		l := w.acquire(env, Interactive) // at once
		w.waiting(w.Context(), env, Interactive)
		ctx, cancel := context.WithCancel(w.Context())
		w.waiting(ctx, env, Interactive)
		if _, err := w.p.Acquire(w.Context(), env, Interactive); !errors.Is(err, ErrQueueFull) {
			t.Errorf("got %v", err)
		}
		after(2 * time.Second)
		cancel()
		after(3 * time.Second)
		l.Do(w.Context(), &Request{Kind: Call, Fun: "sleep", Timeout: 20 * time.Millisecond})
		l.Release()
		s := w.p.Stats()
		var waits, runs Histogram
		waits.observe(0)
		waits.observe(2 * time.Second)
		waits.observe(4 * time.Second)
		runs.observe(20 * time.Millisecond)
		if s.QueueWait[Interactive] != waits || s.RunTime[Interactive] != runs || s.QueueWait[Bulk].Count() != 0 {
			t.Errorf("waits %v, runs %v", s.QueueWait, s.RunTime)
		}
		if c := s.Total; c.QueueFull != 1 || c.QueueCanceled != 1 || c.QueueTimeouts != 1 {
			t.Errorf("%+v", c)
		}
	})
}

func TestQuantilesOfAHistogram(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("of nothing")
	}
	for range 98 {
		h.observe(800 * time.Microsecond)
	}
	h.observe(time.Second)
	h.observe(time.Hour)
	for q, want := range map[float64]time.Duration{
		0: time.Millisecond, 0.5: time.Millisecond, 0.97: time.Millisecond, 0.98: time.Second, 0.99: 5 * time.Minute, 1: 5 * time.Minute,
	} {
		if got := h.Quantile(q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}

func TestIncidentsAreRememberedWithTheirCause(t *testing.T) {
	r := &fakeR{LaunchErr: func(n int) error {
		if n == 1 {
			return &StartError{Step: "source", What: "plumber.R", Err: errors.New("syntax error")}
		}
		return nil
	}}
	inBubble(t, Options{Max: 1}, r, func(t *testing.T, w *world) {
		env := environment("a")
		do := func(fun string) { w.p.Do(w.Context(), env, Interactive, &Request{Kind: Call, Fun: fun}) }
		do("") // fails to start
		after(launchBackoff)
		s := w.p.Stats()
		if e := s.Environments[0]; e.Failures != 1 || e.Failure == "" {
			t.Errorf("%+v", e)
		}
		for range recent + 3 {
			do("die")
			after(crashBackoffMax)
		}
		s = w.p.Stats()
		if len(s.Incidents) != recent || s.Deaths["SIGSEGV"] != recent+3 {
			t.Errorf("%d incidents, deaths %v", len(s.Incidents), s.Deaths)
		}
		last := s.Incidents[recent-1]
		if last.Cause != "SIGSEGV" || last.Pid == 0 || last.Environment != env.Fingerprint() || last.Error == "" || last.Time.After(time.Now()) {
			t.Errorf("%+v", last)
		}
		if e := s.Environments[0]; e.Failures != recent+3 {
			t.Errorf("%d failures in a row", e.Failures)
		}
	})
}
