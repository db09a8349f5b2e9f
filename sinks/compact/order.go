package compact

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

func checkSort(columns []string) error {
	seen := map[string]bool{}
	for _, c := range columns {
		name := strings.TrimPrefix(c, "-")
		if name == "" || seen[name] {
			return fmt.Errorf("sort: column %q is empty or named twice", name)
		}
		seen[name] = true
	}
	return nil
}

// sorted hands the rows of a directory to emit in the order that Sort asks for.
// DuckDB sorts, and spills to disk beyond the memory that it may take.
func (j *job) sorted(ctx context.Context, r *rows, emit func(frame.Frame) error) (err error) {
	if j.order == "" {
		return each(ctx, r, emit)
	}
	temp, err := os.MkdirTemp("", "rpipe-compact-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	env := detached(j.env, filepath.Join(temp, "scratch"))
	defer env.Close()
	engine, err := env.SQL()
	if err != nil {
		return err
	}
	const input = "input"
	q, err := engine.Query(ctx, "SELECT * FROM input ORDER BY "+j.order, map[string]*frame.Schema{input: j.schema.files})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Run(ctx, map[string]stages.SQLInput{input: r.next}, func(f frame.Frame) error {
		f, err := restore(f, j.schema.files)
		if err != nil {
			return err
		}
		return emit(f)
	})
}

// detached is an environment that shares nothing with the stages of a run.
func detached(e *stages.Env, temp string) *stages.Env {
	own := &stages.Env{
		Run: e.Run, Pipeline: e.Pipeline, Dir: e.Dir, Temp: temp,
		Parallel: e.Parallel, Memory: e.Memory, Log: e.Log, S3: e.S3,
	}
	return own.For("compact")
}

// orderBy is the ORDER BY of the query. The columns must be in the files: within
// a directory those of its name are the same in every row.
func (j *job) orderBy() (string, error) {
	var terms []string
	for _, c := range j.Sort {
		name, direction := c, "ASC"
		if n, ok := strings.CutPrefix(c, "-"); ok && !j.schema.files.HasField(c) {
			name, direction = n, "DESC"
		}
		if !j.schema.files.HasField(name) {
			if j.schema.partitions != nil && j.schema.partitions.HasField(name) {
				continue
			}
			return "", &Error{Err: fmt.Errorf("sort: there is no column %q", name), Hint: "the columns are " + strings.Join(names(j.schema.files), ", "), Usage: true}
		}
		terms = append(terms, `"`+strings.ReplaceAll(name, `"`, `""`)+`" `+direction+" NULLS LAST")
	}
	return strings.Join(terms, ", "), nil
}

// restore gives what came back from the SQL engine its fields again. The engine
// carries the values of every type; only factors come back as their strings.
func restore(f frame.Frame, want *frame.Schema) (frame.Frame, error) {
	columns := make([]arrow.Array, want.NumFields())
	for i, field := range want.Fields() {
		a := f.Column(i)
		switch {
		case frame.KindOf(field) == frame.KindFactor:
			s, ok := a.(*array.String)
			if !ok {
				return nil, fmt.Errorf("column %q came back from sorting as %s", field.Name, a.DataType())
			}
			c := frame.NewColumn(field, s.Len())
			for k := range s.Len() {
				if s.IsNull(k) {
					c.AppendNull()
				} else {
					c.AppendString(s.Value(k))
				}
			}
			var err error
			if a, err = c.Array(); err != nil {
				return nil, err
			}
		case a.DataType().ID() != field.Type.ID():
			return nil, fmt.Errorf("column %q came back from sorting as %s, not as %s", field.Name, a.DataType(), frame.TypeName(field))
		case !arrow.TypeEqual(a.DataType(), field.Type): // a zone, or what the elements of a list mean
			d := a.Data()
			a = array.MakeFromData(array.NewData(field.Type, d.Len(), d.Buffers(), d.Children(), a.NullN(), d.Offset()))
		}
		columns[i] = a
	}
	return frame.New(want, columns, int(f.NumRows())), nil
}
