package schedule

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a cron expression: which seconds of the wall clock it is for. Day of month and
// day of week are both to match where one of them begins with *, otherwise one of them,
// as in Vixie cron.
type Cron struct {
	second, minute, hour uint64 // bit n is value n
	day, month, weekday  uint64 // of a month from 1; of a year from 1; Sunday is 0
	lastDay              bool   // L: the last day of the month
	nth                  [7]uint8
	// starDay and starWeekday say that the field began with *.
	starDay, starWeekday bool
	// Wild says that second, minute or hour begin with *: by elapsed time where the clock
	// is changed. Other expressions are for so many times a day, also then.
	Wild bool
}

const lastOf = 7 // bit in nth: the last such weekday of the month

// macros are names of expressions.
var macros = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// field is one of a cron expression.
type field struct {
	name     string
	min, max int
	words    []string // names of values from min on
	example  string
}

var (
	secondField  = field{"second", 0, 59, nil, "0, */10 or 0-30/5"}
	minuteField  = field{"minute", 0, 59, nil, "30, */10 or 0,15,45"}
	hourField    = field{"hour", 0, 23, nil, "2, */6 or 8-18"}
	dayField     = field{"day of month", 1, 31, nil, "1, 1,15 or L for the last"}
	monthField   = field{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}, "1, JAN or 4-9"}
	weekdayField = field{"day of week", 0, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, "MON-FRI, 0 for Sunday, or MON#1 for the first Monday"}
)

// maxExpression is how long an expression may be.
const maxExpression = 1000

// ParseCron reads an expression of five fields, of six with seconds before them, or a
// name such as @daily. It may have what cron has: names of months and days, lists,
// ranges, which may go over the end of a week or year, steps; ? for *; L for the last
// day of the month, FRI#2 for its second Friday and FRIL for its last.
func ParseCron(text string) (*Cron, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("has %d characters, of at most %d", len(text), maxExpression)
	}
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "@") {
		expression, ok := macros[strings.ToLower(trimmed)]
		if !ok {
			return nil, fmt.Errorf("%q is no name of an expression: there are @hourly, @daily, @weekly, @monthly and @yearly, and @every with a duration", trimmed)
		}
		trimmed = expression
	}
	parts := strings.Fields(trimmed)
	if len(parts) == 5 {
		parts = append([]string{"0"}, parts...)
	}
	if len(parts) != 6 {
		return nil, fmt.Errorf("has %d fields: write five (minute hour day-of-month month day-of-week), such as 30 2 * * *, or six with seconds before them", len(parts))
	}
	c := &Cron{}
	for i, p := range []struct {
		f    *field
		into *uint64
	}{{&secondField, &c.second}, {&minuteField, &c.minute}, {&hourField, &c.hour}, {&dayField, &c.day}, {&monthField, &c.month}, {&weekdayField, &c.weekday}} {
		if err := c.parse(p.f, parts[i], p.into); err != nil {
			return nil, fmt.Errorf("%s %q: %w", p.f.name, parts[i], err)
		}
	}
	star := func(i int) bool { return parts[i][0] == '*' || parts[i][0] == '?' }
	c.starDay, c.starWeekday = star(3), star(5)
	c.Wild = star(0) || star(1) || star(2)
	c.weekday |= c.weekday >> 7 & 1 // 7 is Sunday too
	c.weekday &= 1<<7 - 1
	if !c.possible() {
		return nil, errors.New("is for a day that never comes")
	}
	return c, nil
}

// parse reads the list of one field.
func (c *Cron) parse(f *field, text string, into *uint64) error {
	for _, item := range strings.Split(text, ",") {
		if done, err := c.special(f, item); err != nil {
			return err
		} else if done {
			continue
		}
		set, err := f.item(item)
		if err != nil {
			return err
		}
		*into |= set
	}
	return nil
}

// special reads what only days have.
func (c *Cron) special(f *field, item string) (done bool, err error) {
	upper := strings.ToUpper(item)
	if f == &dayField && upper == "L" {
		c.lastDay = true
		return true, nil
	}
	if f != &weekdayField {
		return false, nil
	}
	name, number, sharp := strings.Cut(upper, "#")
	which := lastOf
	switch {
	case sharp:
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > 5 {
			return false, fmt.Errorf("%q: after # stands which of the month it is, from 1 to 5", item)
		}
		which = n
	case len(upper) > 1 && strings.HasSuffix(upper, "L"):
		name = upper[:len(upper)-1]
	default:
		return false, nil
	}
	day, err := f.value(name)
	if err != nil {
		return false, err
	}
	c.nth[day%7] |= 1 << which
	return true, nil
}

// item reads *, a value or a range, with or without a step.
func (f *field) item(text string) (set uint64, err error) {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		if step, err = number(stepText); err != nil || step < 1 || step > f.max {
			return 0, fmt.Errorf("%q is no step: write a number from 1 to %d after /", stepText, f.max)
		}
	}
	from, to := f.min, f.max
	if f == &weekdayField {
		to = 6 // of *
	}
	if span != "*" && span != "?" {
		first, last, ranged := strings.Cut(span, "-")
		if from, err = f.value(first); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if to, err = f.value(last); err != nil {
				return 0, err
			}
		case !stepped:
			to = from
		}
	}
	if to < from {
		return f.around(from, to, step)
	}
	for v := from; v <= to; v += step {
		set |= 1 << v
	}
	return set, nil
}

// around is a range over the end: of a week or year, such as FRI-MON, or of a day.
func (f *field) around(from, to, step int) (set uint64, err error) {
	if f == &dayField {
		return 0, fmt.Errorf("the range begins with %d, after its end %d", from, to)
	}
	n := f.max - f.min + 1
	if f == &weekdayField {
		n = 7
	}
	for v := from; v <= to+n; v += step {
		set |= 1 << (f.min + (v-f.min)%n)
	}
	return set, nil
}

// value reads a number or name.
func (f *field) value(text string) (int, error) {
	for i, word := range f.words {
		if strings.EqualFold(text, word) {
			return f.min + i, nil
		}
	}
	n, err := number(text)
	if err != nil || n < f.min || n > f.max {
		return 0, fmt.Errorf("%q is not from %d to %d: write it such as %s", text, f.min, f.max, f.example)
	}
	return n, nil
}

// number reads digits, at most four.
func number(text string) (int, error) {
	if text == "" || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, errors.New("not a number")
	}
	return strconv.Atoi(text)
}

// possible reports whether there is a day that c is for: 30 February is none.
func (c *Cron) possible() bool {
	if c.lastDay || !c.starDay && !c.starWeekday && (c.weekday != 0 || c.nth != [7]uint8{}) {
		return true
	}
	for m := range 12 {
		if c.month>>(m+1)&1 == 1 && bits.TrailingZeros64(c.day) <= longest[m] {
			return true
		}
	}
	return false
}

// longest are the days of months, in leap years.
var longest = [12]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// onDay reports whether c is for a day, by month, day of month and of week.
func (c *Cron) onDay(t time.Time) bool {
	if c.month>>int(t.Month())&1 == 0 {
		return false
	}
	d, w := t.Day(), int(t.Weekday())
	last := daysIn(t)
	day := c.day>>d&1 == 1 || c.lastDay && d == last
	weekday := c.weekday>>w&1 == 1 || c.nth[w]>>((d+6)/7)&1 == 1 || c.nth[w]>>lastOf&1 == 1 && d+7 > last
	if c.starDay || c.starWeekday {
		return day && weekday
	}
	return day || weekday
}

func daysIn(t time.Time) int {
	return time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
