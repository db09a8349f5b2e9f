package crashtest

import (
	"flag"
	"testing"

	"github.com/rpipe-dev/rpipe/internal/program"
)

var (
	seed    = flag.Uint64("seed", 1, "of the random instants and places")
	crashes = flag.Int("crashes", 0, "at each run; 0 is a few, or hundreds with -tags long")
)

func enough(few int) int {
	if *crashes > 0 {
		return *crashes
	}
	return few * times
}

const often = "commit: {every: 40ms}\n"

func TestEachRowIsThereOnceWhateverTheCrash(t *testing.T) {
	url, asked := api(t)
	total := 0
	for run := range enough(1) {
		c := newTrial(t, *seed+uint64(run), program.Path, head+rowsTail, url, "", nil, often)
		total += c.crash(6)
		c.checkRows(t)
		c.checkNothingLeft(t)
	}
	t.Logf("%d crashes, %d rows, %d requests", total, rows, asked.Load())
}

func TestAnAggregateIsThatOfEachRowOnceWhateverTheCrash(t *testing.T) {
	url, asked := api(t)
	total := 0
	for run := range enough(1) {
		c := newTrial(t, *seed+1000+uint64(run), program.Path, head+aggregateTail, url, "", nil, often)
		total += c.crash(6)
		c.checkSums(t)
		c.checkNothingLeft(t)
	}
	t.Logf("%d crashes, %d rows, %d requests", total, rows, asked.Load())
}

func TestFilesThatAppearOnTheWayAreThereOnceToo(t *testing.T) {
	url, asked := api(t)
	total := 0
	for run := range enough(1) {
		c := newTrial(t, *seed+2000+uint64(run), program.Path, head+rowsTail, url, "", nil, "commit: {every: 40ms, publish: epoch}\n")
		total += c.crash(6)
		c.checkRows(t)
		c.checkNothingLeft(t)
	}
	t.Logf("%d crashes, %d rows, %d requests", total, rows, asked.Load())
}
