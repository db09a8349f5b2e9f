package view

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/sinks/compact"
)

func TestCompactionReport(t *testing.T) {
	until := time.Date(2026, 11, 22, 3, 20, 0, 0, time.Local)
	f := func(r compact.Report, want string) {
		t.Helper()
		var b strings.Builder
		Compaction(&b, &r)
		if d := cmp.Diff(strings.TrimLeft(want, "\n"), b.String()); d != "" {
			t.Error(d)
		}
	}
	f(compact.Report{Path: "out", Before: compact.Extent{Files: 1, Bytes: 2048}}, `
out: nothing to do: 1 file in 2.00 KiB
`)
	f(compact.Report{
		Path: "out", Rows: 1_000_000, Directories: 12, Merged: 300, Kept: 2, DryRun: true,
		Before: compact.Extent{Files: 302, Bytes: 5 << 30}, Columns: []string{"new"},
	}, `
out: 300 of 302 files would be merged, 2 would stay, in 12 directories
  before: 302 files, 5.00 GiB
  columns that some files did not have: new
`)
	f(compact.Report{
		Path: "out", To: "s3://b/new", Rows: 10, Directories: 1, Merged: 3, Written: 1, Elapsed: 1500 * time.Millisecond,
		Before: compact.Extent{Files: 3, Bytes: 300}, After: compact.Extent{Files: 1, Bytes: 100}, Widened: []string{"n", "s"}, Until: &until,
	}, `
out to s3://b/new: 10 rows compacted in 1.5s
  before: 3 files, 300 B
  after:  1 file, 100 B
  columns whose type was not the same in all files: n, s
  the old files go at the next run or compaction after 2026-11-22 03:20:00
`)
}

func TestCompactionLines(t *testing.T) {
	p := compact.Progress{Step: "merging", Since: time.Now().Add(-20 * time.Second), Rows: 2000, Read: 1500, Wrote: 500, Files: 4}
	if d := cmp.Diff("compact: merging, 20s, 50%, 1,500 of 2,000 rows read, 500 written", CompactionLine(p)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("merging  20s  ███████████████░░░░░░░░░░░░░░░ 50%  500 of 2,000 rows  ETA 20s", compactionHead(p, 100)); d != "" {
		t.Error(d)
	}
	p.Rows = 0
	if d := cmp.Diff("merging  20s", compactionHead(p, 100)); d != "" {
		t.Error(d)
	}
	var b strings.Builder
	l := NewLive(&b, func() (int, int) { return 40, 24 })
	l.DrawCompaction(p)
	l.Clear()
	if !strings.Contains(b.String(), "merging  20s\x1b[K\n") || l.lines != 0 {
		t.Errorf("%q", b.String())
	}
}
