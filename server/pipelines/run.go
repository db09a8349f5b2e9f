package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"path"

	"github.com/rpipe-dev/rpipe/pipeline"
	"github.com/rpipe-dev/rpipe/schedule"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
)

// do runs a file to its end. The end of ctx stops it: at once where its record has what
// was done, else, where the source has no end, after what was read.
func (a *attempt) do(ctx context.Context, f *pipeline.File, o pipeline.Options) (*pipeline.Report, error) {
	o.Kept = true
	if o.Log = a.log; a.set.Pool() == Shared {
		o.Pool = a.set.o.R
	}
	own, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	started := context.AfterFunc(ctx, func() { stop(context.Cause(ctx)) })
	r, err := pipeline.Start(own, f, o)
	if err != nil {
		if started(); ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
		return nil, err
	}
	if f.Endless() && started() {
		defer context.AfterFunc(ctx, r.Drain)()
	}
	l := a.set.show(a.run.ID, f, r)
	defer a.set.hide(a.run.ID, l)
	if m := a.set.o.Metrics; m != nil {
		defer m.Run(f.Name, func() []stages.Reading { return r.Snapshot().Stages })()
	}
	a.log.Info("begun", "pool", a.set.Pool(), "resumed", o.Resume)
	report, err := r.Wait()
	started()
	if report.Drained && ctx.Err() != nil && err == nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		a.log.Info("done", "rows_read", report.Read.Rows, "rows_written", written(report), "dead_letters", report.DeadLetters, "skipped", report.Skipped)
	}
	return report, err
}

// mostFiles are named in the record of a run, mostParts of each output in its report.
const (
	mostFiles = 1000
	mostParts = 100
)

// outcome is what the record of a run keeps of its report.
func outcome(r *pipeline.Report) schedule.Outcome {
	o := schedule.Outcome{Rows: written(r)}
	short := *r
	short.Outputs = nil
	for _, to := range r.Outputs {
		for _, p := range to.Files {
			if len(o.Files) < mostFiles {
				o.Files = append(o.Files, place(to.Path, p))
			}
		}
		to.Files = to.Files[:min(len(to.Files), mostParts)]
		short.Outputs = append(short.Outputs, to)
	}
	short.Files = nil // they are those of the first output
	if b, err := json.Marshal(&short); err == nil {
		o.Report = b
	}
	return o
}

// place is where a file of an output is; that of a single file is the output's own.
func place(root string, p sinks.Part) string {
	if path.Base(root) == p.Path {
		return root
	}
	return root + "/" + p.Path
}

// written are the rows that a run has committed; those of outputs that are no files are
// what the sinks took.
func written(r *pipeline.Report) (rows int64) {
	files := false
	for _, to := range r.Outputs {
		for _, p := range to.Files {
			rows, files = rows+p.Rows, true
		}
	}
	if !files && r.Error == "" {
		return r.Snapshot.Written()
	}
	return rows
}
