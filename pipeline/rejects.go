package pipeline

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// rejects takes the rows that failed: it counts them, writes the dead letter, and
// settles their origins. Without a dead_letter block it can only count.
type rejects struct {
	writer  *sinks.DeadLetterWriter // nil for none
	dry     bool                    // rows for the dead letter are only counted
	skipped atomic.Int64
	dead    atomic.Int64 // rows of a dry run that the dead letter would have
	last    atomic.Value // failure: of the last rows that failed
}

func openRejects(ctx context.Context, f *File, env *stages.Env) (*rejects, error) {
	r := &rejects{}
	if f.DeadLetter == nil {
		return r, nil
	}
	var err error
	if r.writer, err = f.DeadLetter.Open(ctx, env); err != nil {
		return nil, at(f, "dead_letter", err)
	}
	return r, nil
}

// add implements stages.Env.Reject.
func (r *rejects) add(ctx context.Context, rejected *stages.Rejected) error {
	switch {
	case rejected.Drop, r.dry:
		rows := int64(1)
		if rejected.Frame != nil {
			rows = rejected.Frame.NumRows()
		}
		if rejected.Drop {
			r.skipped.Add(rows)
		} else {
			r.dead.Add(rows)
		}
	case r.writer == nil:
		return errors.New("rows were rejected, and the pipeline has no dead_letter block")
	default:
		if err := r.writer.Reject(ctx, rejected); err != nil {
			return err
		}
	}
	r.last.Store(failure{rejected.Err})
	if rejected.Batch != nil {
		rejected.Batch.Settle(nil)
	}
	return nil
}

// failure lets an atomic.Value hold errors of different types.
type failure struct{ err error }

func (r *rejects) counts() (skipped, dead int64) {
	if r.writer != nil {
		dead = r.writer.Rows()
	}
	return r.skipped.Load(), dead + r.dead.Load()
}
