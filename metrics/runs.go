package metrics

import (
	"maps"

	"github.com/rpipe-dev/rpipe/stages"
)

// collectRuns adds up the runs of each pipeline and sends them. r.mu is held.
func (r *Registry) collectRuns(e *emitter) {
	sums := make(map[stage]stages.Reading, len(r.past))
	running := make(map[string]int)
	for key, s := range r.past {
		running[key.pipeline] += 0
		s.Reasons, s.Errors = maps.Clone(s.Reasons), maps.Clone(s.Errors)
		sums[key] = s
	}
	for _, run := range r.runs {
		running[run.pipeline]++
		for _, s := range run.read() {
			key := stage{run.pipeline, s.Name}
			sum := sums[key]
			add(&sum, s)
			sums[key] = sum
		}
	}
	for pipeline, n := range running {
		e.labels = []string{pipeline}
		e.value(pipelineRuns, float64(n))
	}
	for key, s := range sums {
		e.labels = []string{key.pipeline, key.name}
		e.stage(s)
	}
}

// add adds the counters of s to sum. Its maps become sum's own.
func add(sum *stages.Reading, s stages.Reading) {
	sum.RowsIn += s.RowsIn
	sum.RowsOut += s.RowsOut
	sum.BytesIn += s.BytesIn
	sum.BytesOut += s.BytesOut
	sum.BatchesIn += s.BatchesIn
	sum.BatchesOut += s.BatchesOut
	sum.BlockedIn += s.BlockedIn
	sum.BlockedOut += s.BlockedOut
	sum.Busy += s.Busy
	sum.InFlight += s.InFlight
	sum.Reasons = addCounts(sum.Reasons, s.Reasons)
	sum.Errors = addCounts(sum.Errors, s.Errors)
}

func addCounts(sum, more map[string]int64) map[string]int64 {
	if sum == nil {
		return maps.Clone(more)
	}
	for key, n := range more {
		sum[key] += n
	}
	return sum
}
