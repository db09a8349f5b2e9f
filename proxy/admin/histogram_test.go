package admin

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestQuantilesAreWithinFivePercent: of the very durations that were added.
func TestQuantilesAreWithinFivePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		exponents := rapid.SliceOfN(rapid.Float64Range(-5.9, 3), 1, 300).Draw(t, "log10 of seconds")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		var whole, a, b histogram
		all := make([]time.Duration, len(exponents))
		for i, e := range exponents {
			all[i] = time.Duration(math.Pow(10, e) * float64(time.Second))
			whole.add(all[i])
			if i%3 == 0 {
				a.add(all[i])
			} else {
				b.add(all[i])
			}
		}
		slices.Sort(all)
		want := all[int(math.Ceil(q*float64(len(all))))-1]
		got := whole.quantile(q)
		if ratio := float64(got) / float64(want); ratio < 0.95 || ratio > 1.05 {
			t.Fatalf("%v, want %v", got, want)
		}
		a.merge(&b)
		if a != whole {
			t.Fatal("parts that are merged differ from the whole")
		}
	})
}

func TestDurationsBeyondTheBuckets(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("of nothing")
	}
	h.add(-time.Second)
	h.add(0)
	if got := h.quantile(1); got != 0 {
		t.Errorf("%v", got)
	}
	h.add(1000 * time.Hour)
	if got := h.quantile(1); got > 1000*time.Hour || got < 30*time.Minute || h.max != 1000*time.Hour {
		t.Errorf("%v", got)
	}
}
