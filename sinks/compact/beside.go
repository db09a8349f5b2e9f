package compact

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rpipe-dev/rpipe/sinks"
)

// beside writes the new files into the output and lets the manifest name them in
// place of the old ones, which stay for a while.
func (j *job) beside(ctx context.Context, w sinks.Writer) error {
	r, ok := w.(sinks.Retirer)
	if !ok {
		return errors.New("the sink cannot retire files")
	}
	parts, err := j.write(ctx, w)
	if err != nil {
		return err
	}
	passed("compact-written")
	if err := j.publish(ctx, w, parts); err != nil {
		return err
	}
	passed("compact-published")
	var retired []string
	for path := range j.retired() {
		retired = append(retired, path)
	}
	slices.Sort(retired)
	until := time.Now().Add(time.Duration(j.Grace)).UTC().Truncate(time.Second)
	if err := j.committed(r.Retire(ctx, retired, until)); err != nil {
		return err
	}
	passed("compact-committed")
	if j.Grace > 0 {
		j.report.Until = &until
	}
	j.wrote(parts)
	return nil
}
