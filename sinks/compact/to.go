package compact

import (
	"context"
	"errors"
	"fmt"

	"github.com/rpipe-dev/rpipe/sinks"
)

// copyTo writes the compacted output to another place.
func (j *job) copyTo(ctx context.Context) (err error) {
	if err := j.look(ctx); err != nil {
		return err
	}
	j.plan()
	if j.DryRun {
		return nil
	}
	if j.manifest != nil {
		j.env.Pipeline = j.manifest.Pipeline
	}
	ifExists := "error"
	if j.Replace {
		ifExists = "replace"
	}
	w, err := j.sink(j.To, ifExists).Open(ctx, j.env)
	if errors.Is(err, sinks.ErrExists) {
		return &Error{Err: fmt.Errorf("%s: %w", j.To, sinks.ErrExists), Hint: "name another place with --to, or say --replace to replace it"}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Abort()) }()
	parts, err := j.write(ctx, w)
	if err != nil {
		return err
	}
	if err := j.publish(ctx, w, parts); err != nil {
		return err
	}
	passed("compact-published")
	partial := j.manifest != nil && j.manifest.Partial
	if err := j.committed(w.Finish(ctx, !partial)); err != nil {
		return err
	}
	j.wrote(parts)
	return nil
}

// committed takes an error that came after the commit for what it is: the
// output is there, and the next run removes what is left.
func (j *job) committed(err error) error {
	if errors.Is(err, sinks.ErrCommitted) {
		j.env.Log.Warn("the compacted output is complete, and something of the old one may be left, which the next run removes", "error", err)
		return nil
	}
	return err
}

// wrote puts the new files into the report.
func (j *job) wrote(parts []sinks.Part) {
	j.report.Written = len(parts)
	for _, p := range parts {
		j.report.After.add(p.Bytes)
	}
}
