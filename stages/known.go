package stages

import (
	"sync"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// known is the types that the columns of a map have had in the answers to all
// requests so far. One request says little of a type: a column may be all NA in
// it, or happen to have whole numbers only.
type known struct {
	mu     sync.Mutex
	fields map[string]arrow.Field
}

// types gives the columns of a request the types of others: those that are all
// NA, as vacant says, and numbers that were wider before. A column of another
// type altogether keeps its own, so that no request can spoil the next.
func (k *known) types(s *frame.Schema, vacant func(name string) bool) *frame.Schema {
	k.mu.Lock()
	defer k.mu.Unlock()
	fields := append([]arrow.Field(nil), s.Fields()...)
	for i, f := range fields {
		before, ok := k.fields[f.Name]
		switch {
		case vacant(f.Name):
			if ok {
				fields[i] = before
			}
			continue
		case ok:
			one := func(f arrow.Field) *frame.Schema { return arrow.NewSchema([]arrow.Field{f}, nil) }
			wider, err := frame.Unify(one(before), one(f))
			if err != nil {
				continue
			}
			fields[i] = wider.Field(0)
		}
		if k.fields == nil {
			k.fields = map[string]arrow.Field{}
		}
		k.fields[f.Name] = fields[i]
	}
	m := s.Metadata()
	return arrow.NewSchema(fields, &m)
}
