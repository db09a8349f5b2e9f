package schedule

import (
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are there also where the system has none

	"github.com/rpipe-dev/rpipe/configs"
)

// Plan is a Timing that was understood: when a schedule is due.
type Plan struct {
	Zone       *time.Location
	Start, End time.Time // zero for none

	cron   *Cron
	every  time.Duration
	phase  time.Time // of every: its times are this one and multiples before and after
	jitter time.Duration
}

// Compile understands the cron expression, zone and dates of t. The plan of one that has
// no cron, as it comes after others, is never due.
func (t *Timing) Compile() (*Plan, error) {
	p := &Plan{jitter: time.Duration(t.Jitter)}
	var err error
	if p.Zone, err = Zone(t.TimeZone); err != nil {
		return nil, fmt.Errorf("time_zone: %w", err)
	}
	if p.Start, err = t.Start.In(p.Zone); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	if p.End, err = t.End.In(p.Zone); err != nil {
		return nil, fmt.Errorf("end: %w", err)
	}
	if !p.End.IsZero() && !p.Start.Before(p.End) {
		return nil, errors.New("end: is not after start, so that nothing would ever be due")
	}
	if err := p.when(t.Cron); err != nil {
		return nil, fmt.Errorf("cron: %w", err)
	}
	return p, nil
}

// when reads the expression.
func (p *Plan) when(text string) error {
	text = strings.TrimSpace(text)
	word, rest, _ := strings.Cut(text, " ")
	switch {
	case text == "":
		return nil
	case strings.EqualFold(word, "@every"):
		d, err := configs.ParseDuration(strings.TrimSpace(rest))
		if err != nil {
			return fmt.Errorf("@every %q %w: write it such as @every 90s or @every 1h30m", strings.TrimSpace(rest), err)
		}
		p.every = time.Duration(d)
		if p.every < time.Second || p.every%time.Second != 0 {
			return fmt.Errorf("@every %s: it must be whole seconds, one at least", p.every)
		}
		if p.phase = p.Start; p.phase.IsZero() {
			p.phase = time.Unix(0, 0)
		}
		return nil
	}
	zoned := text
	for _, prefix := range []string{"CRON_TZ=", "TZ="} {
		if strings.HasPrefix(zoned, prefix) {
			return fmt.Errorf("%q: the zone stands in time_zone, not in the expression", word)
		}
	}
	c, err := ParseCron(zoned)
	if err != nil {
		return err
	}
	p.cron = c
	return nil
}

// Zone is a time zone by its name; "" is UTC, and local the machine's.
func Zone(name string) (*time.Location, error) {
	if strings.EqualFold(name, "local") {
		return time.Local, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone: write it such as Europe/Berlin, UTC or local", name)
	}
	return zone, nil
}

// Clocked reports whether there are times at all: a cron expression or an interval.
func (p *Plan) Clocked() bool { return p.cron != nil || p.every > 0 }

// Next is the first time after t that is due; zero where there is none.
func (p *Plan) Next(t time.Time) time.Time {
	if !p.Start.IsZero() && t.Before(p.Start) {
		t = p.Start.Add(-time.Nanosecond) // Start itself may be due
	}
	var next time.Time
	switch {
	case p.every > 0:
		next = p.tick(t)
	case p.cron != nil:
		next = p.cron.Next(t, p.Zone)
	}
	if next.IsZero() || !p.End.IsZero() && !next.Before(p.End) {
		return time.Time{}
	}
	return next
}

// tick is the first multiple of every after t.
func (p *Plan) tick(t time.Time) time.Time {
	every := int64(p.every / time.Second)
	phase := p.phase.Unix() % every
	n := (t.Unix() - phase) / every // floored, for times after 1970
	return time.Unix((n+1)*every+phase, 0).In(p.Zone)
}

// Between are the times from one on and before another.
func (p *Plan) Between(from, to time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		for t := p.Next(from.Add(-time.Nanosecond)); !t.IsZero() && t.Before(to); t = p.Next(t) {
			if !yield(t) {
				return
			}
		}
	}
}

// Delay is how long after its time a schedule of this name begins: its share of jitter.
func (p *Plan) Delay(name string) time.Duration {
	if p.jitter <= 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(name)) // it never fails
	x := h.Sum64()
	x ^= x >> 33 // names that differ in the last letter only are to be far apart
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return time.Duration(float64(x>>11) / (1 << 53) * float64(p.jitter)).Truncate(time.Millisecond)
}

// Check implements configs.Checker.
func (t *Timing) Check(report func(field, message, hint string)) {
	if _, err := t.Compile(); err != nil {
		field, message, _ := strings.Cut(err.Error(), ": ")
		report(field, message, "")
	}
	if t.Cron == "" && len(t.After) == 0 {
		report("cron", "is missing, and after too, so that nothing would ever be due", "such as 30 2 * * *, or @every 1h")
	}
	for i, name := range t.After {
		if slices.Contains(t.After[:i], name) {
			report("after", fmt.Sprintf("names %s twice", name), "")
		}
	}
}

// Retry is how long after the end of attempt number n (from 1) the next one begins.
func (t *Timing) Retry(n int) time.Duration {
	const most = time.Hour
	d := time.Duration(t.Backoff)
	for range n - 1 {
		if d >= most {
			break
		}
		d *= 2
	}
	return min(d, max(most, time.Duration(t.Backoff)))
}

// Last is the last time from first on, which is due itself, and not after to; zero where
// to is before first.
func (p *Plan) Last(first, to time.Time) time.Time {
	if to.Before(first) {
		return time.Time{}
	}
	for window := time.Minute; ; window *= 2 {
		from := to.Add(-window)
		whole := window > 1<<61 || !from.After(first)
		if whole {
			from = first
		}
		var last time.Time
		for t := range p.Between(from, to.Add(time.Nanosecond)) {
			last = t
		}
		if whole || !last.IsZero() {
			return last
		}
	}
}

// Covers reports whether t is not before the start and before the end.
func (p *Plan) Covers(t time.Time) bool {
	return !t.Before(p.Start) && (p.End.IsZero() || t.Before(p.End))
}
