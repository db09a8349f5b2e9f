package sources

import (
	"slices"
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// reused keeps what builds frames, since it knows from the last frame how much
// room text takes. It keeps nothing where the schema has factors: a builder
// carries their levels on, whose order would then depend on which goroutine
// built what.
type reused[T any] struct {
	pool sync.Pool
	none bool
	make func() *T
}

func newReused[T any](s *frame.Schema, make func() *T) *reused[T] {
	factors := slices.ContainsFunc(s.Fields(), isFactor)
	return &reused[T]{none: factors, make: make}
}

func isFactor(f arrow.Field) bool { return frame.KindOf(f) == frame.KindFactor }

func (r *reused[T]) get() *T {
	if v, ok := r.pool.Get().(*T); ok {
		return v
	}
	return r.make()
}

func (r *reused[T]) put(v *T) {
	if !r.none {
		r.pool.Put(v)
	}
}
