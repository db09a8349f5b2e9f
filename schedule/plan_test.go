package schedule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
)

func compiled(t *testing.T, change func(*Timing)) *Plan {
	t.Helper()
	var timing Timing
	configs.SetDefaults(&timing)
	change(&timing)
	p, err := timing.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func times(p *Plan, from, to string) []string {
	a, _ := time.Parse(time.RFC3339, from)
	b, _ := time.Parse(time.RFC3339, to)
	var out []string
	for t := range p.Between(a, b) {
		out = append(out, t.Format(time.RFC3339))
	}
	return out
}

func TestPlans(t *testing.T) {
	f := func(change func(*Timing), from, to string, want ...string) {
		t.Helper()
		if got := times(compiled(t, change), from, to); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	// From is in it, to is not.
	f(func(t *Timing) { t.Cron = "@hourly" }, "2026-01-01T00:00:00Z", "2026-01-01T02:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z")
	f(func(t *Timing) { t.Cron, t.TimeZone = "0 9 * * *", "Asia/Tokyo" }, "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-01T09:00:00+09:00")
	// Start is in it, end is not; both are in the schedule's zone.
	f(func(t *Timing) {
		t.Cron, t.Start, t.End, t.TimeZone = "@daily", "2026-03-02", "2026-03-04", "Asia/Tokyo"
	}, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z",
		"2026-03-02T00:00:00+09:00", "2026-03-03T00:00:00+09:00")
	// An interval counts from start, else from 1970, whichever server asks and when.
	f(func(t *Timing) { t.Cron = "@every 45m" }, "2026-01-01T00:10:00Z", "2026-01-01T02:00:00Z", "2026-01-01T00:45:00Z", "2026-01-01T01:30:00Z")
	f(func(t *Timing) { t.Cron, t.Start = "@every 45m", "2026-01-01T00:10" }, "2025-01-01T00:00:00Z", "2026-01-01T01:00:00Z", "2026-01-01T00:10:00Z", "2026-01-01T00:55:00Z")
	// Elapsed time, where the clock is changed, too.
	f(func(t *Timing) { t.Cron, t.TimeZone = "@every 1h", "Europe/Berlin" }, "2026-10-25T00:00:00Z", "2026-10-25T03:00:00Z",
		"2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00")
	// What comes after others is never due.
	f(func(t *Timing) { t.After = []string{"a"} }, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z")
}

func TestWrongTimings(t *testing.T) {
	f := func(want string, change func(*Timing)) {
		t.Helper()
		var timing Timing
		configs.SetDefaults(&timing)
		change(&timing)
		var got []string
		timing.Check(func(field, message, hint string) { got = append(got, field+": "+message+" "+hint) })
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f(`cron: is missing`, func(*Timing) {})
	f(`cron: minute "61"`, func(t *Timing) { t.Cron = "61 * * * *" })
	f(`cron: @every "5" has no unit`, func(t *Timing) { t.Cron = "@every 5" })
	f(`cron: @every 1.5s: it must be whole seconds`, func(t *Timing) { t.Cron = "@every 1500ms" })
	f(`cron: "CRON_TZ=Asia/Tokyo": the zone stands in time_zone`, func(t *Timing) { t.Cron = "CRON_TZ=Asia/Tokyo 0 0 * * *" })
	f(`time_zone: "Europe/Berlim" is no time zone`, func(t *Timing) { t.Cron, t.TimeZone = "@daily", "Europe/Berlim" })
	f(`start: "soon" is neither`, func(t *Timing) { t.Cron, t.Start = "@daily", "soon" })
	f(`end: is not after start`, func(t *Timing) { t.Cron, t.Start, t.End = "@daily", "2026-01-02", "2026-01-02" })
	f(`after: names a twice`, func(t *Timing) { t.After = []string{"a", "a"} })
}

// TestJitterSpreads: the same name has the same share, and many fill the whole of it.
func TestJitterSpreads(t *testing.T) {
	p := compiled(t, func(t *Timing) { t.Cron, t.Jitter = "@daily", configs.Duration(10*time.Minute) })
	var tenths [10]int
	for i := range 1000 {
		name := "job-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		d := p.Delay(name)
		if d != p.Delay(name) || d < 0 || d >= 10*time.Minute {
			t.Fatalf("%s: %s", name, d)
		}
		tenths[d/time.Minute]++
	}
	if slices.Min(tenths[:]) < 60 {
		t.Errorf("a thousand names by minutes: %v", tenths)
	}
	if d := compiled(t, func(t *Timing) { t.Cron = "@daily" }).Delay("x"); d != 0 {
		t.Errorf("without jitter %s", d)
	}
}

func TestRetriesBackOff(t *testing.T) {
	timing := Timing{Backoff: configs.Duration(10 * time.Minute)}
	for n, want := range map[int]time.Duration{1: 10 * time.Minute, 2: 20 * time.Minute, 3: 40 * time.Minute, 4: time.Hour, 99: time.Hour} {
		if got := timing.Retry(n); got != want {
			t.Errorf("after attempt %d: %s, want %s", n, got, want)
		}
	}
	timing.Backoff = configs.Duration(2 * time.Hour)
	if got := timing.Retry(3); got != 2*time.Hour {
		t.Errorf("longer than the most from the start: %s", got)
	}
}
