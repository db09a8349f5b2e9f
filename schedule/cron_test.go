package schedule

import (
	"strings"
	"testing"
	"time"
)

// TestExpressionsThatMeanTheSame is the grammar, by pairs.
func TestExpressionsThatMeanTheSame(t *testing.T) {
	for _, pair := range [][2]string{
		{"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"}, {"@midnight", "@DAILY"}, {"@weekly", "0 0 * * SUN"},
		{"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 JAN *"}, {"@annually", "0 0 1 1 *"},
		{"0 30 2 * * *", "30 2 * * *"}, {" 30  2\t* * * ", "30 2 * * *"},
		{"0 0 * * 7", "0 0 * * 0"}, {"0 0 * * mon", "0 0 * * 1"}, {"0 0 * * MON-FRI", "0 0 * * 1,2,3,4,5"},
		{"0 0 * * FRI-MON", "0 0 * * 5,6,0,1"}, {"0 0 * * 5-7", "0 0 * * 0,5,6"}, {"0 0 1 NOV-FEB *", "0 0 1 11,12,1,2 *"},
		{"0 22-2 * * *", "0 22,23,0,1,2 * * *"}, {"5/20 * * * *", "5,25,45 * * * *"}, {"0 8-18/5 * * *", "0 8,13,18 * * *"},
		{"0 0 ? * MON", "0 0 * * MON"},
	} {
		a, err := ParseCron(pair[0])
		if err != nil {
			t.Errorf("%s: %v", pair[0], err)
			continue
		}
		b, err := ParseCron(pair[1])
		if err != nil {
			t.Errorf("%s: %v", pair[1], err)
			continue
		}
		a.Wild, b.Wild = false, false // whether minutes begin with * is not what is compared
		if *a != *b {
			t.Errorf("%s and %s are not the same: %+v %+v", pair[0], pair[1], *a, *b)
		}
	}
}

func TestWrongExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "has 0 fields: write five",
		"* * * *":                      "has 4 fields",
		"* * * * * * *":                "has 7 fields",
		"60 * * * *":                   `minute "60": "60" is not from 0 to 59`,
		"0 24 * * *":                   `hour "24"`,
		"0 0 0 * *":                    `day of month "0": "0" is not from 1 to 31`,
		"0 0 1 13 *":                   `month "13"`,
		"0 0 * * 8":                    `day of week "8"`,
		"0 0 1 FOO *":                  `"FOO" is not from 1 to 12: write it such as 1, JAN`,
		"*/0 * * * *":                  `"0" is no step`,
		"*/ * * * *":                   "is no step",
		"1-2-3 * * * *":                `"2-3" is not from`,
		"1,,2 * * * *":                 `"" is not from 0 to 59`,
		"-1 * * * *":                   `"" is not from`,
		"+1 * * * *":                   `"+1" is not from`,
		"0 0 20-10 * *":                "the range begins with 20, after its end 10",
		"0 0 30 2 *":                   "a day that never comes",
		"0 0 31 4,6,9,11 *":            "a day that never comes",
		"0 0 * * FRI#6":                "which of the month it is, from 1 to 5",
		"@never":                       "@hourly, @daily",
		"99999999999999999999 * * * *": "is not from",
		strings.Repeat("*", 2000):      "has 2000 characters",
	} {
		_, err := ParseCron(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// FuzzCron: whatever is read has times that lie ahead, on the second, and match.
func FuzzCron(f *testing.F) {
	for _, e := range expressions {
		f.Add(e.cron, int64(1767225600))
	}
	f.Add("*/7 5-1/3 1 L ? FRI#5,2L", int64(0))
	f.Add("59 59 23 31 12 *", int64(-1))
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string, from int64) {
		c, err := ParseCron(text)
		if err != nil {
			return
		}
		at := time.Unix(from%(1<<33), 0)
		for range 3 {
			next := c.Next(at, zone)
			if next.IsZero() && c.starDay != c.starWeekday {
				return // such as a fifth Friday that is the first of a month
			}
			if !next.After(at) || next.Nanosecond() != 0 {
				t.Fatalf("%q after %s: %s", text, at.In(zone), next)
			}
			if c.Wild && (!c.onDay(next) || c.hour>>next.Hour()&1 == 0 || c.minute>>next.Minute()&1 == 0 || c.second>>next.Second()&1 == 0) {
				t.Fatalf("%q: %s does not match", text, next)
			}
			at = next
		}
	})
}
