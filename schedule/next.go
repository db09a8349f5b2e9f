package schedule

import (
	"math/bits"
	"time"
)

// horizon is how many years ahead a time is looked for: 29 February is at most eight
// years away, and one with a weekday forty.
const horizon = 41

// Next is the first time after t that c is for in a zone, or zero where there is none.
//
// The times between two changes of the zone's offset are found by the wall clock alone.
// Where the clock goes forward, what a Cron that is not Wild has in the gap comes once,
// in the first instant after it; where it goes back, only the first of the two times that
// read the same counts for such a Cron.
func (c *Cron) Next(t time.Time, zone *time.Location) time.Time {
	t = t.In(zone).Truncate(time.Second).Add(time.Second)
	limit := t.AddDate(horizon, 0, 0)
	for t.Before(limit) {
		start, end := t.ZoneBounds()
		if !end.IsZero() && !end.After(t) { // on the last day of leap years from 2108 on, see TestFarAhead
			end = t.Add(time.Hour)
		}
		_, offset := t.Zone()
		shift := time.Duration(offset) * time.Second
		from := t.UTC().Add(shift) // the wall clock, as if it were UTC
		if !start.IsZero() && !c.Wild {
			_, was := start.Add(-time.Second).In(zone).Zone()
			before := start.UTC().Add(time.Duration(was) * time.Second) // the clock then, before it was changed
			after := start.UTC().Add(shift)
			if t.Equal(start) && before.Before(after) { // a gap
				if gap := c.wall(before, after); !gap.IsZero() && gap.Before(after) {
					return start
				}
			}
			if from.Before(before) { // it has been that time already
				from = before
			}
		}
		until := limit.UTC().Add(shift)
		if !end.IsZero() && end.Before(limit) {
			until = end.UTC().Add(shift)
		}
		if wall := c.wall(from, until); !wall.IsZero() {
			return wall.Add(-shift).In(zone)
		}
		if end.IsZero() {
			break
		}
		t = end.In(zone)
	}
	return time.Time{}
}

// wall is the first time from t on, and before end, that matches all fields; zero for none.
func (c *Cron) wall(t, end time.Time) time.Time {
	for t.Before(end) {
		y, m, d := t.Date()
		if c.month>>int(m)&1 == 0 {
			t = time.Date(y, m+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if !c.onDay(t) {
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		hour, ok := from(c.hour, t.Hour())
		if !ok {
			t = time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if hour != t.Hour() {
			t = time.Date(y, m, d, hour, 0, 0, 0, time.UTC)
		}
		minute, ok := from(c.minute, t.Minute())
		if !ok {
			t = time.Date(y, m, d, hour+1, 0, 0, 0, time.UTC)
			continue
		}
		if minute != t.Minute() {
			t = time.Date(y, m, d, hour, minute, 0, 0, time.UTC)
		}
		second, ok := from(c.second, t.Second())
		if !ok {
			t = time.Date(y, m, d, hour, minute+1, 0, 0, time.UTC)
			continue
		}
		if t = time.Date(y, m, d, hour, minute, second, 0, time.UTC); t.Before(end) {
			return t
		}
	}
	return time.Time{}
}

// from is the least value of a set that is not below v.
func from(set uint64, v int) (int, bool) {
	n := bits.TrailingZeros64(set >> v << v)
	return n, n < 64
}
