package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"
)

// TestProgramsBuild keeps the programs from rotting; what they measure is no test.
func TestProgramsBuild(t *testing.T) {
	if out, err := exec.Command("go", "vet", "./...").CombinedOutput(); err != nil {
		t.Fatalf("go vet ./...: %v\n%s", err, out)
	}
	script, err := os.ReadFile("run.sh")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("bash", "-n", "-c", string(script)).CombinedOutput(); err != nil {
		t.Fatalf("run.sh: %v\n%s", err, out)
	}
}

func TestCompareTakesTurns(t *testing.T) {
	var order []string
	side := func(name string, values ...float64) *Side {
		return &Side{Name: name, Run: func() (float64, error) {
			order = append(order, name)
			v := values[0]
			values = values[1:]
			return v, nil
		}}
	}
	a, b := side("a", 100, 2, 8, 6), side("b", 100, 1, 2, 3)
	if err := Compare(Setting{Rounds: 3}, a, b); err != nil {
		t.Fatal(err)
	}
	if want := []string{"b", "a", "a", "b", "b", "a", "a", "b"}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
	if a.Median() != 6 || b.Median() != 2 {
		t.Errorf("medians %v and %v, want 6 and 2 without the first round", a.Median(), b.Median())
	}
	if got := a.Over(b); got != 2 {
		t.Errorf("ratio %v, want 2, the median of 2, 4 and 2", got)
	}
}

func TestAPeerThatFailsIsLeftOut(t *testing.T) {
	fails := errors.New("dropped")
	runs := 0
	ours := &Side{Name: "rpipe", Run: func() (float64, error) { return 2, nil }}
	theirs := &Side{Name: "peer", MayFail: true, Run: func() (float64, error) {
		runs++
		return 1, map[bool]error{true: fails}[runs == 2]
	}}
	if err := Compare(Setting{Rounds: 3}, ours, theirs); err != nil {
		t.Fatal(err)
	}
	if runs != 2 || !theirs.failed || len(ours.samples) != 3 {
		t.Errorf("the peer ran %d times and failed: %v; %d figures of rpipe", runs, theirs.failed, len(ours.samples))
	}
	ours.Run = func() (float64, error) { return 0, fails }
	if err := Compare(Setting{Rounds: 3}, ours, theirs); !errors.Is(err, fails) {
		t.Errorf("rpipe itself failed: %v", err)
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		bar   string
		got   float64
		holds bool
	}{
		{"≥ 8,000", 8000, true},
		{"≥ 8,000", 7999, false},
		{"≥ 1.5 of the faster", 1.6, true},
		{"≤ 1.3", 1.3, true},
		{"≤ 1.3", 1.31, false},
		{"< 0.05", 0.05, false},
	} {
		if holds(c.bar, c.got) != c.holds {
			t.Errorf("a figure of %v and the bar %q: held is %v", c.got, c.bar, !c.holds)
		}
	}
	ours, theirs := &Side{samples: []float64{3, 3}}, &Side{Bar: "≥ 2", samples: []float64{1, 2}}
	if got := theirs.verdict(ours); got != "≥ 2: met" {
		t.Errorf("2.25 times: %q", got)
	}
	ours.Bar = "≥ 4"
	if got := ours.verdict(ours); got != "≥ 4: **missed**" {
		t.Errorf("rpipe's own figure of 3: %q", got)
	}
}

func TestFrames(t *testing.T) {
	frames, err := Frames(25, 10, 5)
	if err != nil {
		t.Fatal(err)
	}
	var rows []int64
	keys := map[string]bool{}
	for _, f := range frames {
		rows = append(rows, f.NumRows())
		for i := range int(f.NumRows()) {
			keys[f.Column(4).ValueStr(i)] = true
		}
	}
	if fmt.Sprint(rows) != "[10 10 5]" || len(keys) != 5 {
		t.Errorf("frames of %v rows with %d different strings", rows, len(keys))
	}
}
