package stages

import (
	"context"
	"log/slog"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/rpool"
)

// Env is what a component is given when a run starts.
type Env struct {
	Run      string // id of the run
	Pipeline string // name of the pipeline
	Stage    string // label of this component in logs, metrics and errors
	Dir      string // relative paths start here: the directory of the pipeline file
	Temp     string // scratch directory of the run, removed at its end
	Parallel int    // how many CPU-bound goroutines a component may use
	Memory   int64  // bytes that one blocking or buffering component may hold
	Log      *slog.Logger

	Pool *rpool.Pool        // nil where the pipeline has no R stage
	R    *rpool.Environment // what the pipeline's r: block says

	// Reject takes rows that failed, by the stage's on_error. It returns an
	// error when the run must stop. Set by the runtime.
	Reject func(ctx context.Context, r *Rejected) error
}

// Transform is a configured stage over frames, as YAML names them under stages.
type Transform interface {
	// Plan gives the output's schema for an input's; nil means "not known until
	// the first batch", both ways. It touches nothing outside the process.
	Plan(in *frame.Schema) (out *frame.Schema, err error)
	// Build makes the stage for one run.
	Build(env *Env) (Stage[frame.Frame, frame.Frame], error)
}

// Rejected is rows that a component could not process.
type Rejected struct {
	Stage     string
	Frame     frame.Frame // the rows as they entered the stage; nil where they never became rows
	Raw       []byte      // the input's text where they never became rows
	First     int64       // number of the first row in the stage's input, from 0; -1 unknown
	Err       error
	Traceback []string
	Attempt   int
	Whole     bool  // these rows failed together; which of them is at fault is not known
	Batch     *Rows // carries the epoch and origins; nil from a source
}
