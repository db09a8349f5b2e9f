package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// A run that is repeated for its time replaces what it wrote, and nothing of other times.
func TestARunForATimeReplacesItsOwnOutput(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	f := func(t *testing.T, sink string, want func(rows map[int]int, others int) []string, refused string) {
		t.Helper()
		dir := t.TempDir()
		path := filepath.Join(dir, "p.yaml")
		runs := 0
		run := func(n, rows int) error {
			t.Helper()
			text := fmt.Sprintf("version: 1\nsource: {range: {from: 1, to: %d, column: i}}\n"+
				"stages: [{derive: {day: \"%d\", at: \"'${run.scheduled_time}'\"}}]\nsink: {csv: {path: 'out', header: false, %s}}\n", rows, n, sink)
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			runs++
			file, problems := Given{Run: fmt.Sprintf("run%d", runs), Scheduled: day(n), Again: true}.Load(path)
			if len(problems.Errors()) > 0 {
				t.Fatal(problems)
			}
			r, err := Start(t.Context(), file, Options{})
			if err == nil {
				_, err = r.Wait()
			}
			return err
		}
		rows := map[int]int{}
		for _, step := range [][2]int{{1, 3}, {2, 4}, {3, 5}, {2, 4}, {2, 2}, {1, 6}} {
			err := run(step[0], step[1])
			if refused != "" && step[0] < 3 && rows[3] > 0 {
				if err == nil || !strings.Contains(err.Error(), refused) {
					t.Fatalf("day %d: %v, want …%s…", step[0], err, refused)
				}
				continue
			}
			if err != nil {
				t.Fatalf("day %d: %v", step[0], err)
			}
			rows[step[0]] = step[1]
			var found []string
			all, _ := filepath.Glob(filepath.Join(dir, "out", "*.csv"))
			deep, _ := filepath.Glob(filepath.Join(dir, "out", "*", "*.csv"))
			for _, file := range append(all, deep...) {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(string(b)) {
					found = append(found, strings.Split(strings.TrimSpace(line), "-11-0")[1][:1])
				}
			}
			slices.Sort(found)
			if w := want(rows, step[0]); !slices.Equal(found, w) {
				t.Fatalf("after %v the days of rows are %v, want %v", step, found, w)
			}
		}
	}
	each := func(rows map[int]int, _ int) (days []string) {
		for d := 1; d <= 3; d++ {
			days = append(days, slices.Repeat([]string{fmt.Sprint(d)}, rows[d])...)
		}
		return days
	}
	last := func(rows map[int]int, now int) []string { return slices.Repeat([]string{fmt.Sprint(now)}, rows[now]) }
	t.Run("append", func(t *testing.T) { f(t, "if_exists: append", each, "") })
	t.Run("partitions", func(t *testing.T) { f(t, "if_exists: replace_partitions, partition_by: [day]", each, "") })
	t.Run("append in partitions", func(t *testing.T) { f(t, "if_exists: append, partition_by: [i]", each, "") })
	t.Run("replace", func(t *testing.T) {
		f(t, "if_exists: replace", last, "the output there is of scheduled time 2026-11-03T00:00:00Z, and this run is for an earlier one")
	})
}

// An incremental source gives what is new, and nothing comes again: a run for the same
// time leaves what the one before has written.
func TestAnIncrementalRunReplacesNothing(t *testing.T) {
	f := &File{forTime: true, Scheduled: "2026-11-01T00:00:00Z"}
	if times, again := f.times(); len(times) != 1 || !again {
		t.Errorf("%v %v", times, again)
	}
	f.Source.Use = cursors{}
	if times, again := f.times(); len(times) != 0 || again {
		t.Errorf("%v %v", times, again)
	}
}

// cursors is an incremental source.
type incremental = sources.Incremental

type cursors struct{ incremental }

func (cursors) Incremental() bool { return true }

func (cursors) Open(context.Context, *stages.Env, string) (sources.Reader, error) { return nil, nil }

func TestSchedulesAreChecked(t *testing.T) {
	f := func(more, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(path, []byte("version: 1\nsource: {range: {to: 3}}\n"+more), 0o666); err != nil {
			t.Fatal(err)
		}
		_, problems := Load(path, nil)
		if all := problems.Error(); want == "" && len(problems) > 0 || !strings.Contains(all, want) {
			t.Errorf("%s\n%s\nwant …%s…", more, all, want)
		}
	}
	f("schedule: {cron: '@daily'}\nsink: {csv: {path: out}}\n", ":4:13: sink.csv: does not say if_exists")
	f("schedule: {cron: '@daily'}\nsink: {csv: {path: out, if_exists: append}}\n", "")
	f("sink: {csv: {path: out}}\n", "")
	f("schedule: {cron: '@daily'}\nsink: {stdout: {}}\n", "nobody reads what a server prints")
	f("schedule: {cron: '@daily', overlap: allow}\nsink: {csv: {path: out, if_exists: replace}}\n", ":3:37: schedule.overlap: allow does not go")
	f("schedule: {cron: '@daily'}\nsinks: [{csv: {path: a, if_exists: append}}, {csv: {path: b}}]\n", "sinks[1].csv: does not say if_exists")
}
