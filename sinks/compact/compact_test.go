package compact

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
)

// Every value, every type, levels that no row has, zones and units are what
// they were, in place and in another place, with and without partitions.
func TestKeepsEveryValueAndType(t *testing.T) {
	f := func(name, to string, want int, partitionBy ...string) {
		t.Run(name, func(t *testing.T) {
			env := testEnv(t, "run-1")
			small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: partitionBy}}, 9, 50)
			before := read(t, env, "out")
			o := options(env, "out")
			o.To = to
			r := compacted(t, o)
			at := "out"
			if to != "" {
				at = to
			}
			after := read(t, env, at)
			if d := frame.Diff(before, after); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(frame.FormatSchema(before.Schema()), frame.FormatSchema(after.Schema())); d != "" {
				t.Error(d)
			}
			for i, f := range before.Schema().Fields() {
				if a := after.Schema().Field(i); len(partitionBy) == 0 && !f.Metadata.Equal(a.Metadata) {
					t.Errorf("column %s: metadata %v was %v", f.Name, a.Metadata, f.Metadata)
				}
			}
			if files := parquets(t, filepath.Join(env.Dir, at)); len(files) != want || r.Written != want || r.After.Files != want {
				t.Errorf("%v; %+v", files, r)
			}
			if r.Rows != 450 || r.Merged != r.Before.Files || r.Directories != want {
				t.Errorf("%+v", r)
			}
		})
	}
	f("in place", "", 1)
	f("in place, partitions", "", 3, "day")
	f("another place", "new", 1)
	f("another place, partitions", "new", 3, "day")
	f("in place, partitions of a factor and missing values", "", 4, "f")
	f("another place, partitions at two levels", "new", 9, "day", "b")
}

func TestRowsKeepTheirOrder(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 40, 20) // more than one reader takes
	compacted(t, options(env, "out"))
	f, err := readAll(t.Context(), env, "out")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(ids(t, f)) || f.NumRows() != 800 {
		t.Errorf("%d rows: %v", f.NumRows(), ids(t, f))
	}
}

// The manifest says of the new files what a run would have said.
func TestManifestAfterwards(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 4, 30)
	dir := filepath.Join(env.Dir, "out")
	before := manifestOf(t, dir)
	compacted(t, options(env, "out"))
	after := manifestOf(t, dir)
	if after.Rows != before.Rows || after.Run != "compact-1" || after.Pipeline != "test" || after.Partial {
		t.Errorf("%+v", after)
	}
	if d := cmp.Diff(before.Schema, after.Schema) + cmp.Diff(before.PartitionBy, after.PartitionBy); d != "" {
		t.Error(d)
	}
	bytes := int64(0)
	for _, f := range after.Files {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != f.Bytes || f.SHA256 == "" || f.Temp != "" || f.Run != "compact-1" || f.Partition["day"] == "" || f.Created.IsZero() {
			t.Errorf("%+v", f)
		}
		bytes += f.Bytes
	}
	if after.Bytes != bytes {
		t.Errorf("%d bytes by the manifest, %d in its files", after.Bytes, bytes)
	}
	// Nothing is in the way of the next run.
	write(t, env, "run-2", sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}, IfExists: "append"}},
		randomRows(t, everything(t), 1000, 10))
	if f := read(t, env, "out"); f.NumRows() != 130 {
		t.Errorf("%d rows", f.NumRows())
	}
}

// Large files stay, byte by byte, and a second compaction finds nothing to do.
func TestLeavesWhatIsLarge(t *testing.T) {
	env := testEnv(t, "run-1")
	sink := sinks.Parquet{Path: "out"}
	write(t, env, "run-1", sink, randomRows(t, everything(t), 0, 3000))
	dir := filepath.Join(env.Dir, "out")
	big := parquets(t, dir)[0]
	was, err := os.Stat(filepath.Join(dir, big))
	if err != nil {
		t.Fatal(err)
	}
	sink.IfExists = "append"
	write(t, env, "run-2", sink, randomRows(t, everything(t), 3000, 40), randomRows(t, everything(t), 3040, 40))
	o := options(env, "out")
	o.TargetSize = 128 << 10
	if was.Size() < int64(o.TargetSize)/2 {
		t.Fatalf("the large file has %d bytes", was.Size())
	}
	r := compacted(t, o)
	if r.Kept != 1 || r.Merged != 2 || r.Written != 1 || len(parquets(t, dir)) != 2 {
		t.Errorf("%+v", r)
	}
	if is, err := os.Stat(filepath.Join(dir, big)); err != nil || !os.SameFile(was, is) {
		t.Error("the large file is another one", err)
	}
	if f := read(t, env, "out"); f.NumRows() != 3080 {
		t.Errorf("%d rows", f.NumRows())
	}
	files := tree(t, dir)
	o.Run = "compact-2"
	if r := compacted(t, o); r.Changed() || r.Kept != 2 {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff(files, tree(t, dir)); d != "" {
		t.Error(d)
	}
}

// Files are cut near the target size.
func TestTargetSize(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 20, 500)
	o := options(env, "out")
	o.TargetSize, o.RowGroup.Rows = 100<<10, 500
	r := compacted(t, o)
	if r.Written < 3 || r.Written > 10 {
		t.Errorf("%+v", r)
	}
	files := manifestOf(t, filepath.Join(env.Dir, "out")).Files
	for _, f := range files[:len(files)-1] {
		if f.Bytes < 100<<10 || f.Bytes > 150<<10 {
			t.Errorf("%s has %d bytes", f.Path, f.Bytes)
		}
	}
}

// What else stands in the directory stays, with its mode, and in the same file.
func TestCarriesOtherFiles(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 3, 30)
	dir := filepath.Join(env.Dir, "out")
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("README.md", "what this is", 0o640)
	put("docs/.hidden/schema.sql", "create table", 0o600)
	put("day=2024-10-04/notes.txt", "n", 0o644)
	if err := os.Symlink("README.md", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "docs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	compacted(t, options(env, "out"))
	for name, mode := range map[string]os.FileMode{".": 0o750, "README.md": 0o640, "docs": 0o700, "docs/.hidden/schema.sql": 0o600, "day=2024-10-04/notes.txt": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if to, err := os.Readlink(filepath.Join(dir, "link")); to != "README.md" {
		t.Error(to, err)
	}
	if left, _ := os.ReadDir(env.Dir); len(left) != 1 {
		t.Errorf("left beside the directory: %v", left)
	}
}
