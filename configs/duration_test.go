package configs

import (
	"math"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	f := func(text string, want time.Duration) {
		t.Helper()
		if got, err := ParseDuration(text); got != Duration(want) || err != nil {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	f("0", 0)
	f("0s", 0)
	f("1ns", 1)
	f("2us", 2*time.Microsecond)
	f("2µs", 2*time.Microsecond)
	f("2μs", 2*time.Microsecond)
	f("500ms", 500*time.Millisecond)
	f("5s", 5*time.Second)
	f("1.5s", 1500*time.Millisecond)
	f("1h30m", 90*time.Minute)
	f("7d", 7*24*time.Hour)
	f("1d12h", 36*time.Hour)
	f("0.5d", 12*time.Hour)
	f("9223372036854775807ns", math.MaxInt64)

	fails := func(text, want string) {
		t.Helper()
		if got, err := ParseDuration(text); err == nil || err.Error() != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want error %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "s", "-1s", "+1s", "5 s", "5 minutes", "1w", "1M", "1h30", ".5s", "5.s", "1e3s", "1..5s", "∞s"} {
		fails(text, "is not a duration")
	}
	fails("5", "has no unit")
	fails("0.5ns", "is finer than a nanosecond")
	fails("106752d", "is too long for a duration (292 years)")
}

func TestDurationString(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := Duration(d).String(); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	f(0, "0")
	f(500*time.Millisecond, "500ms")
	f(5*time.Second, "5s")
	f(10*time.Second, "10s")
	f(time.Minute, "1m")
	f(10*time.Minute, "10m")
	f(time.Hour, "1h")
	f(20*time.Hour, "20h")
	f(90*time.Minute, "1h30m")
	f(time.Hour+5*time.Second, "1h5s")
	f(24*time.Hour, "1d")
	f(36*time.Hour, "1d12h")
	f(24*time.Hour+time.Millisecond, "1d1ms")
	f(61*time.Minute+500*time.Millisecond, "1h1m0.5s")
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"0", "5s", "1h30m", "1d12h", "1.5s", "2µs", "106751d23h47m16.854775807s", "-1s", "5"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q gives %d", text, int64(d))
		}
		if again, err := ParseDuration(d.String()); again != d || err != nil {
			t.Fatalf("%q is %d, written %s, read again %d, %v", text, int64(d), d, int64(again), err)
		}
		// What Go reads too, it reads as the same.
		if theirs, err := time.ParseDuration(text); err == nil && theirs != time.Duration(d) {
			t.Fatalf("%q is %d, and %d to Go", text, int64(d), int64(theirs))
		}
	})
}
