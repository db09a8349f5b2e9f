package compact

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// inPlace compacts an output where it is.
func (j *job) inPlace(ctx context.Context) (err error) {
	b, err := j.place.manifest(ctx)
	if err != nil {
		return err
	}
	if b == nil {
		if _, err := j.files(ctx); err != nil { // there is nothing to compact at all
			return err
		}
		return &Error{
			Err:  errors.New("it has no _manifest.json, so that it is not known whose its files are"),
			Hint: "write the compacted files to another place: --to " + strings.TrimRight(j.Path, "/") + "-compacted",
		}
	}
	m, err := parseManifest(b)
	if err != nil {
		return err
	}
	j.env.Pipeline = m.Pipeline
	old, isLocal := j.place.(*local)
	if j.DryRun {
		if err := j.look(ctx); err != nil {
			return err
		}
		j.plan()
		return nil
	}
	// The writer takes the lock, and clears away what a run or a compaction that
	// died has left. It replaces nothing unless Finish is called.
	holder := j.sink(j.Path, "replace")
	holder.PartitionBy = m.PartitionBy
	w, err := holder.Open(ctx, j.env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	if isLocal {
		if err := Sweep(old.dir); err != nil {
			return err
		}
	}
	if err := j.look(ctx); err != nil {
		return err
	}
	if j.manifest == nil || !slices.Equal(j.manifest.PartitionBy, m.PartitionBy) {
		return &Error{Err: errors.New("another run has just changed it"), Hint: "try again"}
	}
	j.plan()
	if !j.report.Changed() {
		return nil
	}
	if j.how == Beside {
		return j.beside(ctx, w)
	}
	if canSwap(old.dir, j.env.Run) {
		return j.exchange(ctx, old, w)
	}
	if j.Publish == Exchange {
		return &Error{Err: errors.New("this directory cannot be exchanged as a whole: that needs Linux, a file system that knows how, and the right to write beside it; a mount point cannot be exchanged"), Hint: "leave publish out, or write to another place with to"}
	}
	j.how, j.report.How = Beside, Beside
	return j.beside(ctx, w)
}
