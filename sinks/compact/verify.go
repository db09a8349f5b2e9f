package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/store"
)

// verify compares what the new files say of themselves with what was read. On
// a file system they are looked at under their temporary names; on S3 they can
// be read only when they are published, and are looked at once more then.
func (j *job) verify(ctx context.Context, parts []sinks.Part, nulls map[string]int64, w sinks.Writer) error {
	root := ""
	if r, ok := w.(sinks.Rooted); ok {
		root = r.Root()
	}
	if root == "" || store.IsURL(root) {
		return nil
	}
	found := map[string]int64{}
	for _, p := range parts {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := readBack(filepath.Join(root, filepath.FromSlash(p.Temp)), p, found); err != nil {
			return fmt.Errorf("a file that was written cannot be read back: %w; nothing is published", err)
		}
	}
	for _, f := range j.schema.files.Fields() {
		if frame.KindOf(f) == frame.KindList { // whose footer counts elements
			continue
		}
		if found[f.Name] != nulls[f.Name] {
			return fmt.Errorf("column %q had %d missing values in what was read and has %d in what was written: nothing is published", f.Name, nulls[f.Name], found[f.Name])
		}
	}
	return nil
}

// readBack reads the footer of a new file and adds its missing values to nulls.
func readBack(path string, p sinks.Part, nulls map[string]int64) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is not there", p.Path)
	}
	if err != nil {
		return cause(err)
	}
	defer f.Close()
	file, err := footer(&random{ReaderAt: f, size: p.Bytes})
	if err != nil {
		return err
	}
	if file.NumRows() != p.Rows {
		return fmt.Errorf("%s has %d rows, and %d were written", p.Path, file.NumRows(), p.Rows)
	}
	for _, g := range file.Metadata().RowGroups {
		for _, c := range g.Columns {
			nulls[c.MetaData.PathInSchema[0]] += c.MetaData.Statistics.NullCount
		}
	}
	return nil
}
