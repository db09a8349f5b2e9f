package stages

import (
	"context"

	"github.com/rpipe-dev/rpipe/frame"
)

// Reads is implemented by configured stages that read something beside their
// input: the dataset of a join.
type Reads interface {
	// PlanWith is Plan that looks at what the stage reads, for its columns. It is
	// called in place of Plan. What it opens is closed with env.
	PlanWith(ctx context.Context, env *Env, in *frame.Schema) (*frame.Schema, error)
	// Identity names each piece of what the stage reads and its version, as far
	// as they can be told: a path with size and modification time, an object with
	// its ETag. A run that is resumed compares it with that of its beginning.
	Identity(ctx context.Context, env *Env) (map[string]string, error)
}
