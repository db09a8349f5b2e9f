package sources

import (
	"fmt"
	"log/slog"
	"slices"

	"github.com/rpipe-dev/rpipe/frame/partition"
)

// directories are the columns that the directories above the files name, as
// month=5 and day=1 in out/month=5/day=1/part.parquet: the layout of Hive, in
// which our sinks write partitions. A nil *directories names none.
type directories struct {
	files  []file
	names  []string
	values [][][]byte // by file and name; nil is a missing value
}

// directoriesOf reads the names of the directories between what was searched
// (a directory, or the part of a glob before its first wildcard) and the files.
// They are columns only where all files have the same ones, in the same order.
func directoriesOf(files []file, mode string, log *slog.Logger) *directories {
	if mode == "off" {
		return nil
	}
	d := &directories{files: files, values: make([][][]byte, len(files))}
	for i, f := range files {
		names, values := partition.Parse(f.rel)
		if i == 0 {
			d.names = names
		}
		if !slices.Equal(names, d.names) {
			if log != nil {
				log.Warn("no column is made of the directories' names, because they differ; partitions: off is silent about it",
					"file", files[0].name, "other", f.name)
			}
			return nil
		}
		d.values[i] = values
	}
	sorted := slices.Sorted(slices.Values(d.names))
	if len(sorted) == 0 || len(slices.Compact(sorted)) < len(d.names) {
		return nil
	}
	return d
}

// without leaves out the columns that the files have themselves.
func (d *directories) without(inFiles []string) *directories {
	if d == nil {
		return nil
	}
	left := &directories{files: d.files, values: make([][][]byte, len(d.values))}
	for k, name := range d.names {
		if slices.Contains(inFiles, name) {
			continue
		}
		left.names = append(left.names, name)
		for i := range d.values {
			left.values[i] = append(left.values[i], d.values[i][k])
		}
	}
	if len(left.names) == 0 {
		return nil
	}
	return left
}

// has reports whether a column is one of a directory's name.
func (d *directories) has(name string) bool { return d != nil && slices.Contains(d.names, name) }

// choose gives those of the columns asked for that the files hold, which may be
// none; nil asks for all, and is all. A column that is nowhere is an error.
func (d *directories) choose(asked, inFiles []string, file string) ([]string, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	chosen := []string{}
	for _, name := range asked {
		switch {
		case slices.Contains(inFiles, name):
			chosen = append(chosen, name)
		case !d.has(name):
			known := slices.Clone(inFiles)
			if d != nil {
				known = append(known, d.names...)
			}
			return nil, fmt.Errorf("columns: no column %q in %s%s", name, file, didYouMean(name, known))
		}
	}
	return chosen, nil
}
