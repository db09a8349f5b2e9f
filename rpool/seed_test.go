//go:build unix

package rpool

import (
	"testing"

	"github.com/rpipe-dev/rpipe/rdata"
)

// seedsOfR has R compute the states after the given numbers of nextRNGStream(),
// one seed a column of the result, six numbers each.
const seedsOfR = `
states <- function(seed, steps) {
	unlist(lapply(seed, function(s) {
		set.seed(s, kind = "L'Ecuyer-CMRG")
		x <- .Random.seed
		for (i in seq_len(steps)) x <- parallel::nextRNGStream(x)
		stopifnot(x[1] == 10407L)
		x[-1]
	}))
}`

func TestSubStreamsAreRs(t *testing.T) {
	const code = `
subs <- function(seed, steps) {
	set.seed(seed, kind = "L'Ecuyer-CMRG")
	x <- parallel::nextRNGStream(.Random.seed)
	for (i in seq_len(steps)) x <- parallel::nextRNGSubStream(x)
	x[-1]
}`
	p := started(t, launched(t, &Environment{Setup: code, Start: StartFork}, nil))
	for _, n := range []uint64{0, 1, 2, 1000} {
		r, err := p.Do(t.Context(), call("subs", &rdata.Integer{Values: []int32{42}}, &rdata.Double{Values: []float64{float64(n)}}))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := SeedAt(42, 1).Sub(n), Seed(value(t, r).(*rdata.Integer).Values); got != want {
			t.Errorf("Sub(%d) = %v, R has %v", n, got, want)
		}
	}
}

func TestSeedAtIsRs(t *testing.T) {
	p := started(t, launched(t, &Environment{Setup: seedsOfR, Start: StartFork}, nil))
	seeds := []int32{0, 1, 2, 42, -1, 1 << 30, 2147483647, -2147483647, 20240229}
	for i := range int32(300) {
		seeds = append(seeds, i*7_654_321)
	}
	check := func(n uint64, seeds []int32) {
		t.Helper()
		r, err := p.Do(t.Context(), call("states", &rdata.Integer{Values: seeds}, &rdata.Double{Values: []float64{float64(n)}}))
		if err != nil {
			t.Fatal(err)
		}
		want := value(t, r).(*rdata.Integer).Values
		for i, seed := range seeds {
			if got := SeedAt(int64(seed), n); got != Seed(want[6*i:6*i+6]) {
				t.Errorf("SeedAt(%d, %d) = %v, R has %v", seed, n, got, want[6*i:6*i+6])
			}
		}
	}
	check(0, seeds)
	check(1, seeds)
	check(2, seeds[:50])
	check(3, seeds[:50])
	check(1000, seeds[:5])
}

// The state after a million streams is that after 1000 streams, a thousand times
// over: powers compose.
func TestSeedAtComposes(t *testing.T) {
	jump := streamJump()
	for i, modulus := range mrgModulus {
		thousand := power(jump[i], 1000, modulus)
		if power(thousand, 1000, modulus) != power(jump[i], 1_000_000, modulus) {
			t.Errorf("component %d: (J^1000)^1000 is not J^1000000", i+1)
		}
		if multiply(power(jump[i], 1<<63, modulus), power(jump[i], 1<<63-1, modulus), modulus) != power(jump[i], 1<<64-1, modulus) {
			t.Errorf("component %d: J^(2^63) J^(2^63-1) is not J^(2^64-1)", i+1)
		}
	}
	if SeedAt(1, 1_000_000) == SeedAt(1, 999_999) {
		t.Error("neighbouring streams are equal")
	}
}

func TestSeedAtFoldsLongSeeds(t *testing.T) {
	if SeedAt(1<<40, 0) == SeedAt(1<<41, 0) || SeedAt(1<<40, 0) == SeedAt(0, 0) {
		t.Error("the upper half of a seed has no effect")
	}
}
