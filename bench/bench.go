// Package bench measures rpipe beside its peers. Each directory below it is a
// program that makes one table of docs/benchmarks.md; run.sh makes them all.
//
// A figure is never taken alone: the sides of a comparison run in turn, round
// after round, so that what else the machine does hits all of them, and what is
// told is the median of the rounds and the median of their ratios.
package bench

import (
	"flag"
	"fmt"
	"os"
	"slices"
)

// Side is one contender of a comparison.
type Side struct {
	Name string
	Bar  string // what rpipe must reach beside it, such as "≥ 1.5"; "" for none
	// Run takes one measurement: a rate, a time or a size, the same for all sides.
	Run func() (float64, error)
	// Then are measured right after each Run, such as the memory of the process
	// whose time it took.
	Then []*Side
	// MayFail says that an error of Run is the side's own, such as a peer's that
	// drops connections: the table then says that it failed, and it is not measured
	// again. Any other error ends the comparison.
	MayFail bool

	samples []float64
	failed  bool
}

// Setting is how a program was asked to measure.
type Setting struct {
	Rounds int
	Quick  bool // everything small, to see that it works: the figures mean nothing
}

// Pick is full, or less in a quick run.
func (s Setting) Pick(full, quick int) int {
	if s.Quick {
		return quick
	}
	return full
}

// Main parses the flags, runs a program and tells its error.
func Main(run func(Setting) error) {
	var s Setting
	flag.IntVar(&s.Rounds, "rounds", 7, "how often each side is measured")
	flag.BoolVar(&s.Quick, "quick", false, "one small round, to see that everything works")
	flag.Parse()
	if s.Quick {
		s.Rounds = 1
	}
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Compare measures each side once in each round, after one round that does not
// count. Every round begins with another side.
func Compare(s Setting, sides ...*Side) error {
	for round := -1; round < s.Rounds; round++ {
		for i := range sides {
			if err := sides[(i+round+len(sides))%len(sides)].measure(round >= 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// Once measures each side a single time, where one measurement takes minutes.
func Once(sides ...*Side) error {
	for _, side := range sides {
		if err := side.measure(true); err != nil {
			return err
		}
	}
	return nil
}

func (s *Side) measure(counts bool) error {
	for _, side := range append([]*Side{s}, s.Then...) {
		if side.failed {
			continue
		}
		v, err := side.Run()
		if err != nil && side.MayFail {
			side.failed = true
			fmt.Fprintf(os.Stderr, "bench: %s failed and is left out: %v\n", side.Name, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("%s: %w", side.Name, err)
		}
		if counts {
			side.samples = append(side.samples, v)
		}
	}
	return nil
}

// Median is the middle of the side's measurements.
func (s *Side) Median() float64 { return median(s.samples) }

// Over is the median over the rounds of what s measured over what other did.
func (s *Side) Over(other *Side) float64 {
	ratios := make([]float64, min(len(s.samples), len(other.samples)))
	for i := range ratios {
		ratios[i] = s.samples[i] / other.samples[i]
	}
	return median(ratios)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}
