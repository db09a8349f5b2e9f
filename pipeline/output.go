package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/rpipe-dev/rpipe/pipeline/journal"
	"github.com/rpipe-dev/rpipe/sinks"
)

// committer is a writer as the commit sees it: that of a sink, of the dead letter
// or of a spool.
type committer interface {
	Prepare(ctx context.Context, epoch uint64) ([]sinks.Part, error)
	Publish(ctx context.Context, parts []sinks.Part) error
	Finish(ctx context.Context, complete bool) error
	Abort() error
}

// output is a committer with what it has ready.
type output struct {
	label     string
	path      string // in the file
	writer    committer
	parts     []sinks.Part // ready, of all epochs
	published int          // of parts: those that are visible
}

// resumer is the writer where a later process could go on with it.
func (o *output) resumer() (sinks.Resumer, bool) {
	r, ok := o.writer.(sinks.Resumer)
	return r, ok
}

// resume hands over what the journal says.
func (o *output) resume(ctx context.Context, j *journal.Journal) error {
	saved := j.Outputs[o.label]
	if saved == nil {
		saved = &journal.Output{}
	}
	r, ok := o.resumer()
	if !ok {
		return fmt.Errorf("%s: it is no file, and cannot be gone on with", o.label)
	}
	o.parts = saved.Parts
	return o.named(r.Resume(ctx, saved.Parts, saved.State))
}

// prepare makes an epoch's parts ready.
func (o *output) prepare(ctx context.Context, epoch uint64) error {
	parts, err := o.writer.Prepare(ctx, epoch)
	if err != nil {
		return o.named(err)
	}
	o.parts = append(o.parts, parts...)
	return nil
}

// publish makes visible what is ready.
func (o *output) publish(ctx context.Context) error {
	if err := o.writer.Publish(ctx, o.parts[o.published:]); err != nil {
		return o.named(err)
	}
	o.published = len(o.parts)
	return nil
}

// announce tells readers of the manifest what is visible.
func (o *output) announce(ctx context.Context) error {
	if r, ok := o.resumer(); ok && o.published > 0 {
		return o.named(r.Announce(ctx))
	}
	return nil
}

func (o *output) finish(ctx context.Context, complete bool) error {
	return o.named(o.writer.Finish(ctx, complete))
}

// suspend leaves what is ready for a later process.
func (o *output) suspend() error {
	if r, ok := o.resumer(); ok {
		return o.named(r.Suspend())
	}
	return o.named(o.writer.Abort())
}

// saved is what the journal keeps.
func (o *output) saved() (*journal.Output, error) {
	var state json.RawMessage
	if r, ok := o.resumer(); ok {
		var err error
		if state, err = r.State(); err != nil {
			return nil, o.named(err)
		}
	}
	return &journal.Output{Parts: o.parts, State: state}, nil
}

func (o *output) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", o.label, err)
}
