package pipeline

import (
	"fmt"

	"github.com/rpipe-dev/rpipe/stages"
)

// Warn implements configs.Warner: random numbers are reproducible only where
// batches are cut at the same rows each time.
func (f *File) Warn(report func(field, message, hint string)) {
	f.warnQueues(report)
	shaky := "" // why the batches may differ from run to run
	for i, s := range f.Stages {
		switch c := s.Use.(type) {
		case *stages.Batcher:
			if c.Period > 0 {
				shaky = fmt.Sprintf("stages[%d] cuts batches by period", i)
			} else if c.Rows > 0 || c.Bytes > 0 {
				// Cut anew by rows or bytes, they depend on the order of rows alone.
				if shaky != "" && !unordered(f.Stages[:i]) {
					shaky = ""
				}
			}
		case *stages.Map:
			if c.Seed != nil && shaky != "" {
				report(fmt.Sprintf("stages[%d].map.seed", i), "numbers will differ from run to run: "+shaky,
					"cut the batches by rows or bytes, and keep the order, in all stages before it")
			}
			if !c.Ordered {
				shaky = fmt.Sprintf("stages[%d] does not keep the order of its batches", i)
			}
		case *stages.Fetch: // it cuts batches by time
			shaky = fmt.Sprintf("stages[%d] cuts batches by the time that answers come", i)
		case *stages.Reduce:
			if c.Seed != nil && unordered(f.Stages[:i]) {
				report(fmt.Sprintf("stages[%d].reduce.seed", i), "numbers may differ from run to run: the rows of a group come in another order each time",
					"keep the order in all stages before it")
			}
			shaky = "" // groups are cut by their values
			if !c.Ordered {
				shaky = fmt.Sprintf("stages[%d] does not keep the order of its groups", i)
			}
		}
	}
}

func unordered(before []StageSpec) bool {
	for _, s := range before {
		switch c := s.Use.(type) {
		case *stages.Map:
			if !c.Ordered {
				return true
			}
		case *stages.Fetch:
			if !c.Ordered {
				return true
			}
		}
	}
	return false
}

// inFlight is how many requests all stages together hand to the R pool at once,
// where the file says so.
func (f *File) inFlight() int {
	n := 0
	for _, s := range f.all() {
		if r, ok := s.Use.(stages.UsesR); ok {
			_, inFlight := r.UsesR()
			n += inFlight
		}
	}
	return n
}
