package stages

import "github.com/rpipe-dev/rpipe/frame"

// Transform is a configured stage over frames, as YAML names them under stages.
type Transform interface {
	// Plan gives the output's schema for an input's; nil means "not known until
	// the first batch", both ways. It touches nothing outside the process.
	Plan(in *frame.Schema) (out *frame.Schema, err error)
	// Build makes the stage for one run. One that is not Blocking may be run
	// several times, also at once: each time a stream of its own flows through it,
	// and what is dear to make, such as the table of a join, is made once for all.
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
	Drop      bool   // on_error: skip: they are counted and forgotten
	Whole     bool   // these rows failed together; which of them is at fault is not known
	Batch     *Rows  // carries the epoch and the shares of origins; nil from a source
	Epoch     uint64 // where Batch is nil
	Run       string // in which the rows failed first, where it is an earlier one; "" is this run
}
