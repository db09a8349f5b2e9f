package predict

import (
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/rpipe-dev/rpipe/frame"
)

// numbered is the schema with columns that go by their places among names; -1, -2, …
// are those that are not there. A nil schema stays one.
func (s *schema) numbered(names []string) *schema {
	if s == nil {
		return nil
	}
	place := make(map[string]int, len(names))
	for i, name := range names {
		place[name] = i
	}
	columns := make([]arrow.Field, s.NumFields())
	for i, f := range s.Fields() {
		at, ok := place[f.Name]
		if !ok {
			at = -1 - i
		}
		f.Name = strconv.Itoa(at)
		columns[i] = f
	}
	out := *s
	out.Schema = arrow.NewSchema(columns, nil)
	return &out
}

// named gives the columns their names again, those of s where there is a schema.
func (in *input) named(s *schema, names []string) {
	name := func(number string) string {
		at, err := strconv.Atoi(number)
		switch {
		case err != nil:
			return number
		case at < 0:
			return s.Field(-1 - at).Name
		}
		return names[at]
	}
	for _, e := range in.errors {
		for i := range e.Columns {
			e.Columns[i].Name = name(e.Columns[i].Name)
		}
	}
	if in.frame == nil {
		return
	}
	var called *frame.Schema
	if s != nil {
		called = s.Schema
	} else {
		columns := make([]arrow.Field, in.frame.NumCols())
		for i, f := range in.frame.Schema().Fields() {
			f.Name = name(f.Name)
			columns[i] = f
		}
		called = arrow.NewSchema(columns, nil)
	}
	in.frame = frame.New(called, in.frame.Columns(), int(in.frame.NumRows()))
}
