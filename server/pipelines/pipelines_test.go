package pipelines

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	plain = "version: 1\nsource: {range: {to: 3}}\nsink: {csv: {path: out, if_exists: append}}\n"
	daily = plain + "schedule: {cron: '@daily'}\n"
)

// states are the pipelines of a set and how they stand.
func states(s *Set) (all []string) {
	list, others := s.List()
	for _, p := range list {
		when := "by hand"
		if p.Timing != nil {
			when = p.Timing.Cron
		}
		all = append(all, fmt.Sprintf("%s %s %s", p.Name, p.State, when))
	}
	for _, p := range others {
		all = append(all, p.String())
	}
	return all
}

// A file with an error keeps no other from running, and has its version of before run on.
func TestADirectoryOfPipelines(t *testing.T) {
	s := set(t, map[string]string{
		"a.yaml": daily, "b.yml": plain, "notes.txt": "no pipeline", ".hidden.yaml": "x: 1",
		"c.yaml": "version: 1\nname: third\nsource: {range: {to: 3}}\nsink: {csv: {path: out}}\nschedule: {cron: '@hourly'}\n",
		"d.yaml": "version: 1\nname: a\nsource: {range: {to: 3}}\nsink: {csv: {path: out}}\n",
		"e.yaml": "version: 1\nname: no.name\nsource: {range: {to: 3}}\nsink: {csv: {path: out}}\n",
	})
	dir := s.o.Dir
	want := []string{
		"a ok @daily", "b ok by hand", "c broken by hand", "e broken by hand",
		filepath.Join(dir, "d.yaml") + ":2:7: name: a is the name of " + filepath.Join(dir, "a.yaml") + " too",
	}
	if d := cmp.Diff(want, states(s)); d != "" {
		t.Error(d)
	}
	c, _ := s.Get("c")
	if text := c.Problems.Error(); !strings.Contains(text, "c.yaml:4:13: sink.csv: does not say if_exists") {
		t.Error(text)
	}
	e, _ := s.Get("e")
	if text := e.Problems.Error(); !strings.Contains(text, `e.yaml:2:7: name: "no.name" cannot be the name of a pipeline under serve`) {
		t.Error(text)
	}
	if changed, err := s.Load(); changed || err != nil {
		t.Errorf("as it was: %v %v", changed, err)
	}

	good := s.version("a")
	put(t, dir, map[string]string{"a.yaml": strings.Replace(daily, "to: 3", "to: x", 1)})
	changed, err := s.Load()
	if err != nil || changed || s.version("a") != good || states(s)[0] != "a stale @daily" {
		t.Errorf("broken: %v %v %v", changed, err, states(s))
	}
	put(t, dir, map[string]string{"a.yaml": daily})
	if changed, err := s.Load(); err != nil || changed || states(s)[0] != "a ok @daily" {
		t.Errorf("mended to what it was: %v %v %v", changed, err, states(s))
	}
	put(t, dir, map[string]string{"a.yaml": daily + "memory: 2GiB\n"})
	if changed, err := s.Load(); err != nil || !changed || s.version("a") == good {
		t.Errorf("another version: %v %v", changed, err)
	}
	if names := entries(s); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("entries %v", names)
	}
}

func entries(s *Set) (names []string) {
	for _, e := range s.Entries() {
		names = append(names, e.Name)
	}
	return names
}

// Files that come, change and go are noticed by themselves.
func TestFilesAreWatched(t *testing.T) {
	s := set(t, map[string]string{"a.yaml": daily})
	changed, ended := make(chan struct{}), make(chan error, 1)
	ctx, cancel := contextOf(t)
	go func() {
		ended <- s.Watch(ctx, func() {
			select {
			case changed <- struct{}{}:
			case <-ctx.Done():
			}
		})
	}()
	put(t, s.o.Dir, map[string]string{"b.yaml": plain})
	wait(t, changed)
	if names := entries(s); !slices.Equal(names, []string{"a", "b"}) {
		t.Errorf("entries %v", names)
	}
	// Another directory takes its place.
	if err := os.Rename(s.o.Dir, s.o.Dir+".old"); err != nil {
		t.Fatal(err)
	}
	put(t, s.o.Dir, map[string]string{"..1/c.yaml": plain, "..2/c.yaml": plain + "name: d\n"})
	link := func(to, from string) {
		t.Helper()
		if err := errors.Join(os.Symlink(to, filepath.Join(s.o.Dir, "new")), os.Rename(filepath.Join(s.o.Dir, "new"), filepath.Join(s.o.Dir, from))); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/c.yaml", "c.yaml")
	wait(t, changed)
	for !slices.Equal(entries(s), []string{"c"}) { // it may have been read before all of it was there
		wait(t, changed)
	}
	// As Kubernetes changes a ConfigMap: c.yaml itself is as it was.
	link("..2", "..data")
	wait(t, changed)
	if names := entries(s); !slices.Equal(names, []string{"d"}) {
		t.Errorf("entries %v", names)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A backfill that is done twice ends with the same rows, and leaves those of other times.
func TestABackfillMayBeRepeated(t *testing.T) {
	files := map[string]string{
		"paths": "version: 1\nsource: {range: {to: '${rows:4}'}}\nstages: [{derive: {at: \"'${run.scheduled_time}'\"}}]\nsink: {csv: {path: 'paths/${run.scheduled_time}', if_exists: append}}\nschedule: {cron: '@daily'}\n",
		"added": "version: 1\nsource: {range: {to: '${rows:4}'}}\nstages: [{derive: {at: \"'${run.scheduled_time}'\"}}]\nsink: {csv: {path: added, if_exists: append}}\nschedule: {cron: '@daily'}\n",
		"parts": "version: 1\nsource: {range: {to: '${rows:4}'}}\nstages: [{derive: {at: \"'${run.scheduled_time}'\", p: \"'${run.scheduled_time}'\"}}]\nsink: {csv: {path: parts, partition_by: [p], if_exists: replace_partitions}}\nschedule: {cron: '@daily'}\n",
	}
	for name, text := range files {
		s := set(t, map[string]string{name + ".yaml": text})
		run := func(id, n int, values map[string]string) {
			t.Helper()
			r, err := s.doOnce(t.Context(), name, fmt.Sprintf("run%d", id), day(n), Input{Values: values})
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, r.text())
			}
			want := int64(4)
			if values != nil {
				want = 2
			}
			if r.out.Rows != want || len(r.out.Files) != 1 || len(r.out.Report) == 0 {
				t.Errorf("%s: told of %d rows and files %v", name, r.out.Rows, r.out.Files)
			}
		}
		for i := range 3 {
			run(i, i+1, nil)
		}
		once := rows(t, filepath.Join(s.o.Dir, name))
		if len(once) != 12 {
			t.Fatalf("%s: %d rows", name, len(once))
		}
		for i := range 3 {
			run(10+i, i+1, nil)
		}
		if d := cmp.Diff(once, rows(t, filepath.Join(s.o.Dir, name))); d != "" {
			t.Errorf("%s: done twice: %s", name, d)
		}
		run(20, 2, map[string]string{"rows": "2"})
		if n := len(rows(t, filepath.Join(s.o.Dir, name))); n != 10 {
			t.Errorf("%s: %d rows after a run of two for a time of four", name, n)
		}
	}
}

// What is asked of a run and cannot be is said before anything is read.
func TestValuesOfARun(t *testing.T) {
	s := set(t, map[string]string{"a.yaml": strings.Replace(plain, "to: 3", "to: '${rows:3}'", 1)})
	if err := s.Check("a", map[string]string{"rows": "5"}, time.Time{}); err != nil {
		t.Error(err)
	}
	for values, want := range map[string]string{"rows=x": "x", "other=1": "other"} {
		name, value, _ := strings.Cut(values, "=")
		if err := s.Check("a", map[string]string{name: value}, time.Time{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
	s.SetValues(map[string]string{"rows": "7", "unused": "1"}) // as a reload does
	if changed, err := s.Load(); !changed || err != nil {
		t.Error(changed, err)
	}
	r, err := s.doOnce(t.Context(), "a", "run1", day(1), Input{})
	if err != nil || r.out.Rows != 7 {
		t.Errorf("%d rows, %v", r.out.Rows, err)
	}
	s.SetValues(map[string]string{"rows": "x"})
	if changed, err := s.Load(); changed || err != nil {
		t.Error(changed, err)
	}
	if st, _ := s.Get("a"); st.State != Stale {
		t.Errorf("%+v", st)
	}
}

// Pipelines that come after others are run where those are there; the rest has an error.
func TestPipelinesComeAfterOthers(t *testing.T) {
	after := func(name string) string { return plain + "schedule: {after: " + name + "}\n" }
	s := set(t, map[string]string{
		"a.yaml": daily, "b.yaml": after("a"), "c.yaml": after("bb"), "d.yaml": after("e"), "e.yaml": after("d"), "f.yaml": after("nightly"), "g.yaml": after("c"),
	})
	s.o.Others = func() []string { return []string{"nightly"} }
	if _, err := s.Load(); err != nil {
		t.Fatal(err)
	}
	if names := entries(s); !slices.Equal(names, []string{"a", "b", "f"}) {
		t.Errorf("entries %v", names)
	}
	for name, want := range map[string]string{
		"c": `c.yaml:4:19: schedule.after[0]: there is no schedule or pipeline "bb"`, "d": "e has an error, or comes after this one itself", "g": "c has an error",
	} {
		if p, _ := s.Get(name); p.State != Broken || !strings.Contains(p.Problems.Error(), want) {
			t.Errorf("%s %s: %v, want …%s…", name, p.State, p.Problems, want)
		}
	}
	put(t, s.o.Dir, map[string]string{"bb.yaml": daily, "nightly.yaml": daily})
	if changed, err := s.Load(); !changed || err != nil {
		t.Error(changed, err)
	}
	if names := entries(s); !slices.Equal(names, []string{"a", "b", "bb", "c", "f", "g"}) {
		t.Errorf("then entries %v", names)
	}
	if p, _ := s.Get("nightly"); !strings.Contains(p.Problems.Error(), "is the name of a schedule of rpipe.yaml too") {
		t.Error(p.Problems)
	}
	if changed, err := s.Load(); changed || err != nil {
		t.Errorf("as it was: %v %v", changed, err)
	}
}

// A file that is changed to come after what is not there, or after itself, is run on as it
// was, with those that come after it; where there is no such version, the log says so.
func TestPipelinesThatCannotComeAfterOthersStayAsTheyWere(t *testing.T) {
	after := func(name string) string { return plain + "schedule: {after: " + name + "}\n" }
	for name, first := range map[string]string{"a circle": "b", "nothing": "nowhere", "itself": "a"} {
		t.Run(name, func(t *testing.T) {
			s := set(t, map[string]string{"a.yaml": daily, "b.yaml": after("a"), "c.yaml": after("b")})
			var log bytes.Buffer
			s.log = slog.New(slog.NewTextHandler(&log, nil))
			put(t, s.o.Dir, map[string]string{"a.yaml": after(first)})
			for range 2 {
				if changed, err := s.Load(); changed || err != nil {
					t.Errorf("what is run has changed: %v %v", changed, err)
				}
				if names := entries(s); !slices.Equal(names, []string{"a", "b", "c"}) {
					t.Errorf("entries %v", names)
				}
			}
			if p, _ := s.Get("a"); p.State != Stale || !strings.Contains(p.Problems.Error(), "schedule.after[0]") || p.Timing.Cron == "" {
				t.Errorf("a is %s, %v, due %v", p.State, p.Problems, p.Timing)
			}
			if p, _ := s.Get("c"); p.State != OK {
				t.Error(p.Problems)
			}
			if text := log.String(); strings.Count(text, "its version of before is run on") != 1 {
				t.Error(text)
			}
			if err := os.Remove(filepath.Join(s.o.Dir, "a.yaml")); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Load(); err != nil {
				t.Fatal(err)
			}
			if text := log.String(); len(entries(s)) > 0 || strings.Count(text, "it is not run\"") != 2 {
				t.Error(entries(s), text)
			}
		})
	}
}
