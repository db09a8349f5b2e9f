package compact

import (
	"slices"
	"strings"
)

// directory is what happens to the files of one directory.
type directory struct {
	path   string
	merged []*input // that are written anew, in the order of their rows
	kept   []*input
	rows   int64 // of merged
}

// plan decides which files are written anew. A copy to another place takes all.
func (j *job) plan() {
	at := map[string]*directory{}
	j.dirs = nil
	for _, in := range j.inputs {
		d := at[in.dir]
		if d == nil {
			d = &directory{path: in.dir}
			at[in.dir] = d
			j.dirs = append(j.dirs, d)
		}
		if j.large(in) {
			d.kept = append(d.kept, in)
		} else {
			d.merged = append(d.merged, in)
		}
	}
	slices.SortFunc(j.dirs, func(a, b *directory) int { return strings.Compare(a.path, b.path) })
	for _, d := range j.dirs {
		if j.how != ToPlace && !j.worth(d) {
			d.kept, d.merged = append(d.kept, d.merged...), nil
		}
		for _, in := range d.merged {
			d.rows += in.rows
		}
	}
	j.account()
}

// large reports whether a file may stay as it is.
func (j *job) large(in *input) bool {
	return j.how != ToPlace && len(j.Sort) == 0 &&
		in.bytes >= int64(j.TargetSize)/2 && in.codec == j.Compression && j.schema.same(in)
}

// worth reports whether a directory has enough files to merge, or one that
// lacks columns.
func (j *job) worth(d *directory) bool {
	return len(d.merged) >= j.AfterFiles || slices.ContainsFunc(d.merged, func(in *input) bool { return !j.schema.same(in) })
}

// account puts the plan into the report.
func (j *job) account() {
	r := &j.report
	r.Directories, r.Columns, r.Widened = len(j.dirs), j.schema.added, j.schema.widened
	for _, d := range j.dirs {
		for _, in := range d.merged {
			r.Before.add(in.bytes)
			r.Rows += in.rows
		}
		for _, in := range d.kept {
			r.Before.add(in.bytes)
			r.After.add(in.bytes)
			r.Rows += in.rows
		}
		r.Merged += len(d.merged)
		r.Kept += len(d.kept)
		j.seen.Rows += d.rows
		j.seen.Files += len(d.merged)
	}
}

// retired are the files that others take the place of.
func (j *job) retired() map[string]bool {
	gone := map[string]bool{}
	for _, d := range j.dirs {
		for _, in := range d.merged {
			gone[in.path] = true
		}
	}
	return gone
}
