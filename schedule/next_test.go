package schedule

import (
	"slices"
	"testing"
	"time"
)

// zones are some that change their clocks in all the ways that there are.
var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Europe/London",
	"Australia/Lord_Howe", // by half an hour
	"America/Santiago",    // at midnight, in the south
	"Africa/Cairo",        // at midnight: that day has no 00:30
	"Asia/Beirut", "Africa/Casablanca", "America/Havana", "Antarctica/Troll", "Pacific/Auckland",
}

// expressions with the same, said by hand. wild are those that begin with * in minute or hour.
var expressions = []struct {
	cron string
	wild bool
	is   func(w time.Time) bool
}{
	{"30 2 * * *", false, func(w time.Time) bool { return w.Hour() == 2 && w.Minute() == 30 }},
	{"30 1 * * *", false, func(w time.Time) bool { return w.Hour() == 1 && w.Minute() == 30 }},
	{"0 0 * * *", false, func(w time.Time) bool { return w.Hour() == 0 && w.Minute() == 0 }},
	{"30 0 * * *", false, func(w time.Time) bool { return w.Hour() == 0 && w.Minute() == 30 }},
	{"0 3 * * *", false, func(w time.Time) bool { return w.Hour() == 3 && w.Minute() == 0 }},
	{"15,45 0-3 * * *", false, func(w time.Time) bool { return w.Hour() <= 3 && (w.Minute() == 15 || w.Minute() == 45) }},
	{"5 0-23/2 * * *", false, func(w time.Time) bool { return w.Hour()%2 == 0 && w.Minute() == 5 }},
	{"* * * * *", true, func(time.Time) bool { return true }},
	{"*/20 * * * *", true, func(w time.Time) bool { return w.Minute()%20 == 0 }},
	{"30 * * * *", true, func(w time.Time) bool { return w.Minute() == 30 }},
	{"*/15 2 * * *", true, func(w time.Time) bool { return w.Hour() == 2 && w.Minute()%15 == 0 }},
	{"0 9 * * MON-FRI", false, func(w time.Time) bool {
		return w.Hour() == 9 && w.Minute() == 0 && w.Weekday() != time.Sunday && w.Weekday() != time.Saturday
	}},
	{"0 12 1,15 * WED", false, func(w time.Time) bool {
		return w.Hour() == 12 && w.Minute() == 0 && (w.Day() == 1 || w.Day() == 15 || w.Weekday() == time.Wednesday)
	}},
	{"0 12 */10 * SUN", false, func(w time.Time) bool {
		return w.Hour() == 12 && w.Minute() == 0 && w.Day()%10 == 1 && w.Weekday() == time.Sunday
	}},
	{"0 12 L * *", false, func(w time.Time) bool { return w.Hour() == 12 && w.Minute() == 0 && w.AddDate(0, 0, 1).Day() == 1 }},
	{"0 12 * OCT,3 7", false, func(w time.Time) bool {
		return w.Hour() == 12 && w.Minute() == 0 && w.Weekday() == time.Sunday && (w.Month() == 10 || w.Month() == 3)
	}},
	{"0 12 * * FRI#2", false, func(w time.Time) bool {
		return w.Hour() == 12 && w.Minute() == 0 && w.Weekday() == time.Friday && w.Day() > 7 && w.Day() <= 14
	}},
	{"0 12 * * 1L", false, func(w time.Time) bool {
		return w.Hour() == 12 && w.Minute() == 0 && w.Weekday() == time.Monday && w.AddDate(0, 0, 7).Month() != w.Month()
	}},
}

// due are the times of a year by a clock that ticks each minute, as Vixie cron's does: an
// expression with * is compared with what the clock reads; another one with all that it
// has read since the latest that it ever read, so that nothing is left out or comes again.
func due(year int, zone *time.Location) [][]time.Time {
	out := make([][]time.Time, len(expressions))
	naive := func(t time.Time) time.Time {
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), 0, 0, time.UTC)
	}
	t := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	latest := naive(t.Add(-time.Minute).In(zone))
	for ; t.Year() == year; t = t.Add(time.Minute) {
		w := naive(t.In(zone))
		var passed []time.Time
		for latest.Before(w) {
			latest = latest.Add(time.Minute)
			passed = append(passed, latest)
		}
		for i, e := range expressions {
			if e.wild && e.is(w) || !e.wild && slices.ContainsFunc(passed, e.is) {
				out[i] = append(out[i], t)
			}
		}
	}
	return out
}

// TestAYearMinuteByMinute: for all zones and expressions, years with usual changes, and
// one in which a day was left out.
func TestAYearMinuteByMinute(t *testing.T) {
	years := map[string][]int{}
	for _, z := range zones {
		years[z] = []int{2026}
	}
	years["Pacific/Apia"] = []int{2011} // 30 December was left out
	years["America/Caracas"] = []int{2016}
	if testing.Short() {
		years = map[string][]int{"Europe/Berlin": {2026}, "Australia/Lord_Howe": {2026}, "America/Santiago": {2026}}
	}
	for name, of := range years {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, year := range of {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				all := due(year, zone)
				for i, e := range expressions {
					c, err := ParseCron(e.cron)
					if err != nil {
						t.Fatal(err)
					}
					if c.Wild != e.wild {
						t.Errorf("%s: wild %v", e.cron, c.Wild)
					}
					var got []time.Time
					for at := c.Next(time.Date(year, 1, 1, 0, 0, -1, 0, time.UTC), zone); at.UTC().Year() == year; at = c.Next(at, zone) {
						got = append(got, at)
					}
					want := all[i]
					if !slices.EqualFunc(got, want, time.Time.Equal) {
						t.Errorf("%s in %d: %d times, want %d; %s", e.cron, year, len(got), len(want), difference(got, want))
					}
				}
			})
		}
	}
}

func difference(got, want []time.Time) string {
	for i := range min(len(got), len(want)) {
		if !got[i].Equal(want[i]) {
			return "got " + got[i].String() + ", want " + want[i].In(got[i].Location()).String()
		}
	}
	return "as far as they go they are the same"
}

// TestChangesOfTheClock says by hand what the year by minutes says by rule.
func TestChangesOfTheClock(t *testing.T) {
	f := func(zone, cron, from string, want ...string) {
		t.Helper()
		z, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCron(cron)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, from)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			at = c.Next(at, z)
			if got := at.Format("2006-01-02T15:04:05-07:00"); got != w {
				t.Errorf("%s %s: %s, want %s", zone, cron, got, w)
			}
		}
	}
	// Forward: 02:30 is not there, and comes at 03:00.
	f("America/New_York", "30 2 * * *", "2026-03-07T12:00:00-05:00", "2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00")
	f("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00")
	// One that is due at the first instant after the gap anyway comes once.
	f("Europe/Berlin", "0 2,3 * * *", "2026-03-28T12:00:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00")
	// Back: 01:30 is there twice, and comes the first time.
	f("America/New_York", "30 1 * * *", "2026-10-31T12:00:00-04:00", "2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00")
	// From between the two of them, the second is none either.
	f("America/New_York", "30 1 * * *", "2026-11-01T01:10:00-05:00", "2026-11-02T01:30:00-05:00")
	// Every hour is every hour.
	f("America/New_York", "0 * * * *", "2026-11-01T00:30:00-04:00", "2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00", "2026-11-01T02:00:00-05:00")
	f("America/New_York", "0 * * * *", "2026-03-08T00:30:00-05:00", "2026-03-08T01:00:00-05:00", "2026-03-08T03:00:00-04:00")
	// A change at midnight, of half an hour, and of a whole day.
	f("Africa/Cairo", "@daily", "2026-04-23T12:00:00+02:00", "2026-04-24T01:00:00+03:00", "2026-04-25T00:00:00+03:00")
	f("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00")
	f("Pacific/Apia", "0 9 * * *", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00")
	// Six fields have seconds.
	f("UTC", "*/20 30 2 * * *", "2026-01-01T00:00:00Z", "2026-01-01T02:30:00+00:00", "2026-01-01T02:30:20+00:00", "2026-01-01T02:30:40+00:00", "2026-01-02T02:30:00+00:00")
	f("UTC", "0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00+00:00")
}

// TestFarAhead: beyond the table of a zone its rule counts, whose bounds time.ZoneBounds
// gets wrong on the last day of leap years. What never comes is looked for all the way.
func TestFarAhead(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for cron, want := range map[string]string{
		"0 0 */31 * FRI#5": "0001-01-01T00:00:00Z", // the first of a month is no fifth Friday
		"0 12 31 12 *":     "2108-12-31T12:00:00-05:00",
		"* * 31 12 *":      "2108-12-31T00:00:00-05:00",
		"0 2 1 1 *":        "2109-01-01T02:00:00-05:00",
	} {
		c, err := ParseCron(cron)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Next(time.Date(2108, 12, 1, 0, 0, 0, 0, time.UTC), zone).Format(time.RFC3339); got != want {
			t.Errorf("%s: %s, want %s", cron, got, want)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	c, err := ParseCron("30 2 * * MON-FRI")
	if err != nil {
		b.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		at = c.Next(at, zone)
	}
}
