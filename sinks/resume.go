package sinks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/apache/arrow-go/v18/arrow/ipc"

	"github.com/rpipe-dev/rpipe/frame"
)

// writerState is what State returns.
type writerState struct {
	// Schema is an Arrow IPC stream without batches: that of the first batch, with
	// all that it says, so that later batches are made the same.
	Schema []byte `json:"schema,omitempty"`
}

// State implements Resumer.
func (w *fileWriter) State() (json.RawMessage, error) {
	var s writerState
	if w.schema != nil {
		var b bytes.Buffer
		if err := ipc.NewWriter(&b, ipc.WithSchema(w.schema), ipc.WithAllocator(frame.Allocator)).Close(); err != nil {
			return nil, &Error{Op: "keep the columns of", Path: w.out.shown, Err: err}
		}
		s.Schema = b.Bytes()
	}
	return json.Marshal(s)
}

// Resume implements Resumer.
func (w *fileWriter) Resume(ctx context.Context, parts []Part, state json.RawMessage) error {
	if w.ended {
		return errEnded
	}
	if err := w.setState(state); err != nil {
		return &Error{Op: "resume", Path: w.out.shown, Err: err}
	}
	published, err := w.out.resumeParts(ctx, parts)
	if err != nil {
		return err
	}
	w.prepared = append(w.prepared, parts...)
	w.parts.handed += len(parts)
	w.published = append(w.published, published...)
	w.resumed = true
	return nil
}

func (w *fileWriter) setState(state json.RawMessage) error {
	if len(state) == 0 {
		return nil
	}
	var s writerState
	if err := json.Unmarshal(state, &s); err != nil {
		return fmt.Errorf("read what was kept of it: %w", err)
	}
	if len(s.Schema) == 0 {
		return nil
	}
	r, err := ipc.NewReader(bytes.NewReader(s.Schema), ipc.WithAllocator(frame.Allocator))
	if err != nil {
		return fmt.Errorf("read the columns that were kept: %w", err)
	}
	defer r.Release()
	schema := r.Schema()
	if len(w.layout.PartitionBy) > 0 {
		if w.split, err = newPartitioner(w.layout.PartitionBy, schema); err != nil {
			return err
		}
	}
	w.schema = schema
	return nil
}

// Announce implements Resumer.
func (w *fileWriter) Announce(ctx context.Context) error {
	if w.ended {
		return errEnded
	}
	return w.out.announce(ctx, w.manifest(true), w.published)
}

// Suspend implements Resumer.
func (w *fileWriter) Suspend() error {
	if w.ended {
		return nil
	}
	if w.out.resume && !w.resumed { // what is there nobody has looked at: all of it stays
		w.ended = true
		ctx, cancel := lastly()
		defer cancel()
		w.parts.discard(ctx)
		return w.out.place.leave(ctx, &w.out.me)
	}
	if len(w.prepared) == 0 && !w.out.announced {
		return w.end()
	}
	w.ended = true
	ctx, cancel := lastly()
	defer cancel()
	w.parts.discard(ctx)
	if err := w.out.place.holds(ctx); err != nil {
		return w.out.giveUp(ctx, err)
	}
	_, err := w.out.sweepOwn(ctx, w.out.keep(w.prepared))
	return errors.Join(failed("suspend", w.out.shown, err), w.out.place.leave(ctx, &w.out.me))
}

// id is what a leftover of the part is called in its place.
func (p *Part) id() string {
	if p.Upload != nil {
		return p.Upload.ID
	}
	return p.Temp
}

// keep are the leftovers that belong to parts.
func (o *output) keep(parts []Part) map[string]bool {
	keep := map[string]bool{}
	for _, p := range parts {
		keep[p.id()] = true
	}
	if o.file != "" && len(parts) > 0 {
		keep[tempName(o.file+secondName, o.run)] = true
	}
	return keep
}

// resumeParts finds the parts of earlier processes and removes everything else
// of this run. It returns those that are published.
func (o *output) resumeParts(ctx context.Context, parts []Part) (published []Part, err error) {
	pending, err := o.sweepOwn(ctx, o.keep(parts))
	if err != nil {
		return nil, failed("resume", o.shown, err)
	}
	if o.file != "" {
		if err := o.resumeFile(ctx, parts, pending); err != nil {
			return nil, err
		}
	}
	named := map[string]bool{}
	for _, p := range parts {
		named[p.Path] = true
		size, there := o.there[p.Path]
		// The single file of before may be as large as the part that is to replace it.
		switch {
		case there && size == p.Bytes && (o.file == "" || !pending[p.id()]):
			published = append(published, p)
			o.nowVisible(p.Path)
		case !pending[p.id()]:
			return nil, &Error{Op: "resume", Path: o.shown, Err: gone(p), Hint: "start the run anew, with --fresh"}
		}
	}
	var others []string
	for _, path := range sortedKeys(o.there) {
		if o.file == "" && runOf(path) == o.run && !named[path] {
			others = append(others, path)
		}
	}
	return published, failed("resume", o.shown, o.place.remove(ctx, others))
}

// resumeFile applies if_exists to a single file, which Open could not do: it may
// be this run's own.
func (o *output) resumeFile(ctx context.Context, parts []Part, pending map[string]bool) error {
	size, err := o.place.size(ctx, o.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, p := range parts {
		switch {
		case err != nil || size != p.Bytes:
		case !pending[p.id()] || o.kind == existsError:
			o.there = map[string]int64{o.file: size}
			return nil
		case o.old == nil && o.place.remote():
			return nil // made before the record of its upload went, perhaps: Publish finds out whose it is
		}
	}
	return o.checkFile(ctx)
}
