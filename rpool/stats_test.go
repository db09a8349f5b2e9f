package rpool

import (
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
			Requests: 3, BusyTime: 3 * time.Second, Timeouts: 1, Launches: 1, Started: 2,
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
