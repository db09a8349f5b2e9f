package sinks

import (
	"context"

	"github.com/rpipe-dev/rpipe/stages"
)

// openBucket is the place of an output on S3.
func openBucket(_ context.Context, l *layout, _ *output, _ *stages.Env) (place, error) {
	return nil, &Error{Op: "open", Path: l.path, Err: errNoS3, Hint: "name a directory"}
}
