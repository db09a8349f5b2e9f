// Package keeper fires schedules: of the servers of a cluster one at a time leads, finds
// out what is due, has it run, and keeps the history.
package keeper

import (
	"context"

	"github.com/rpipe-dev/rpipe/schedule"
)

// Work is what a schedule runs: a job of the task queue, or a pipeline.
type Work interface {
	// Run does one attempt and returns when it has ended; nil where it ended well. It is
	// stopped by the end of ctx. tell, which may be called at any time, keeps what is
	// known so far in the run's record. Where a server that ran it is gone, another
	// calls it again with the same ID and Attempt, and with what was told: it goes on, or
	// begins again, and must not do twice what was done. log takes lines of the run's log.
	Run(ctx context.Context, run *schedule.Run, tell func(schedule.Outcome), log func(line string)) error
}
