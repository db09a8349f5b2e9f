package compact

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
)

// Beside the new files the old ones stay for as long as grace says; whoever
// writes there next leaves them, and removes them when their time has come.
func TestOldFilesStayForGrace(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 4, 30)
	dir := filepath.Join(env.Dir, "out")
	before, old := read(t, env, "out"), parquets(t, dir)
	o := options(env, "out")
	o.Publish, o.Grace = Beside, configs.Duration(time.Hour)
	r := compacted(t, o)
	if r.How != Beside || r.Until == nil || time.Until(*r.Until) < 59*time.Minute || r.Written != 3 {
		t.Errorf("%+v", r)
	}
	if d := frame.Diff(before, read(t, env, "out")); d != "" {
		t.Error(d)
	}
	there := parquets(t, dir)
	for _, path := range old {
		if !slices.Contains(there, path) {
			t.Errorf("%s is gone", path)
		}
	}
	if len(there) != len(old)+3 {
		t.Errorf("%d files", len(there))
	}
	// A run that appends does not take them for somebody else's.
	write(t, env, "run-2", sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}, IfExists: "append"}}, randomRows(t, everything(t), 120, 10))
	if n := len(parquets(t, dir)); n != len(old)+6 {
		t.Errorf("%d files", n)
	}
	if f := read(t, env, "out"); f.NumRows() != 130 {
		t.Errorf("%d rows", f.NumRows())
	}
	// Nor does another compaction, which has its own to retire.
	o.Run, o.Grace = "compact-2", configs.Duration(2*time.Hour)
	compacted(t, o)
	if n := len(manifestRetired(t, dir)); n != len(old)+6 {
		t.Errorf("%d files are retired", n)
	}
	expire(t, dir, old)
	write(t, env, "run-3", sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}, IfExists: "append"}}, randomRows(t, everything(t), 130, 10))
	there = parquets(t, dir)
	for _, path := range old {
		if slices.Contains(there, path) {
			t.Errorf("%s is still there", path)
		}
	}
	if n := len(manifestRetired(t, dir)); n != 6 {
		t.Errorf("%d files are retired", n)
	}
	if f := read(t, env, "out"); f.NumRows() != 140 {
		t.Errorf("%d rows", f.NumRows())
	}
}

func TestWithoutGraceOldFilesGoAtOnce(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 4, 30)
	dir := filepath.Join(env.Dir, "out")
	before := read(t, env, "out")
	o := options(env, "out")
	o.Publish = Beside
	r := compacted(t, o)
	if r.Until != nil || len(manifestRetired(t, dir)) != 0 {
		t.Errorf("%+v", r)
	}
	if d := cmp.Diff([]string{"_manifest.json", manifestOf(t, dir).Files[0].Path}, tree(t, dir)); d != "" {
		t.Error(d)
	}
	if d := frame.Diff(before, read(t, env, "out")); d != "" {
		t.Error(d)
	}
}
