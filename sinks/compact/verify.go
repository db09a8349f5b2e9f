package compact

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/store"
)

// publish verifies the new files and makes them visible. On a file system they
// are verified before, under their temporary names; on S3, where nothing can be
// read before it is published, after: no manifest names them yet, and the
// writer's Abort takes them back.
func (j *job) publish(ctx context.Context, w sinks.Writer, parts []sinks.Part) error {
	j.step("publishing")
	root := w.(sinks.Rooted).Root()
	if !store.IsURL(root) {
		err := j.verify(ctx, parts, func(p sinks.Part) (*random, error) {
			return openLocal(filepath.Join(root, filepath.FromSlash(p.Temp)))
		})
		if err != nil {
			return err
		}
		return w.Publish(ctx, parts)
	}
	if err := w.Publish(ctx, parts); err != nil {
		return err
	}
	to, err := placeOf(j.env, root)
	if err != nil {
		return err
	}
	return j.verify(ctx, parts, func(p sinks.Part) (*random, error) { return to.open(ctx, p.Path) })
}

// verify compares what the new files say of themselves with what was read.
func (j *job) verify(ctx context.Context, parts []sinks.Part, open func(p sinks.Part) (*random, error)) error {
	found := map[string]int64{}
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		f, err := open(p)
		if err == nil {
			err = readBack(f, p, found)
		}
		if err != nil {
			return fmt.Errorf("read back %s: %w; nothing of the old files is given up", p.Path, err)
		}
	}
	for _, f := range j.schema.files.Fields() {
		if frame.KindOf(f) == frame.KindList { // whose footer counts elements
			continue
		}
		if found[f.Name] != j.nulls[f.Name] {
			return fmt.Errorf("column %q had %d missing values in what was read and has %d in what was written; nothing of the old files is given up",
				f.Name, j.nulls[f.Name], found[f.Name])
		}
	}
	return nil
}

// readBack reads the footer of a new file and adds its missing values to nulls.
func readBack(f *random, p sinks.Part, nulls map[string]int64) error {
	defer f.close()
	if f.size != p.Bytes {
		return fmt.Errorf("it has %d bytes, and %d were written", f.size, p.Bytes)
	}
	file, err := footer(f)
	if err != nil {
		return err
	}
	if file.NumRows() != p.Rows {
		return fmt.Errorf("it has %d rows, and %d were written", file.NumRows(), p.Rows)
	}
	for _, g := range file.Metadata().RowGroups {
		for _, c := range g.Columns {
			nulls[c.MetaData.PathInSchema[0]] += c.MetaData.Statistics.NullCount
		}
	}
	return nil
}
