package audit

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func read(t *testing.T, l *Log, f Filter) ([]Entry, bool) {
	t.Helper()
	found, more, err := l.Read(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	return found, more
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestEntriesAreNumberedOverRestarts(t *testing.T) {
	dir := t.TempDir()
	n := 0
	for range 3 {
		l := open(t, Options{Dir: dir, MaxFile: 400})
		for range 7 {
			n++
			l.Write(Entry{Op: "submitJob", Outcome: OK, Owner: "ana", Targets: []string{fmt.Sprint("j", n)}})
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l.Write(Entry{Op: "late"}) // no panic
	}
	l := open(t, Options{Dir: dir, MaxFile: 400})
	var all []Entry
	for before := uint64(0); ; {
		page, more := read(t, l, Filter{Before: before, Limit: 4})
		all = append(all, page...)
		if !more {
			break
		}
		before = page[len(page)-1].N
	}
	if len(all) != n {
		t.Fatalf("%d entries of %d", len(all), n)
	}
	for i, e := range all {
		if e.N != uint64(n-i) || e.Targets[0] != fmt.Sprint("j", n-i) || e.Time.IsZero() {
			t.Errorf("%d: %+v", i, e)
		}
	}
	if files := names(t, dir); len(files) < 5 {
		t.Errorf("%v", files)
	}
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() > 400 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestALineThatBrokeOff(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	l.Write(Entry{Op: "one"})
	l.Close()
	path := filepath.Join(dir, names(t, dir)[0])
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"n":2,"op":"two","ti`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir})
	l.Write(Entry{Op: "three"})
	got, _ := read(t, l, Filter{})
	if len(got) != 2 || got[0].Op != "three" || got[0].N != 2 || got[1].Op != "one" {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestFilters(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 10 {
		l.Write(Entry{
			Time: start.Add(time.Duration(i) * time.Hour), Op: []string{"a", "b"}[i%2], Owner: []string{"ana", "bo", "cy"}[i%3],
			Outcome: []string{OK, Refused}[i/5], Targets: []string{fmt.Sprint(i)},
		})
	}
	f := func(want string, filter Filter) {
		t.Helper()
		got, _ := read(t, l, filter)
		var ids []string
		for _, e := range got {
			ids = append(ids, e.Targets[0])
		}
		if s := strings.Join(ids, ""); s != want {
			t.Errorf("%+v: %s, want %s", filter, s, want)
		}
	}
	f("9876543210", Filter{})
	f("86420", Filter{Op: "a"})
	f("741", Filter{Owner: "bo"})
	f("43210", Filter{Outcome: OK})
	f("5", Filter{Target: "5"})
	f("", Filter{Target: "x"})
	f("987", Filter{Since: start.Add(7 * time.Hour)})
	f("10", Filter{Until: start.Add(2 * time.Hour)})
	f("98", Filter{Limit: 2})
}

func TestOldFilesGo(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir, MaxFile: 100})
	for range 5 {
		l.Write(Entry{Op: strings.Repeat("x", 90)})
	}
	l.Close()
	files := names(t, dir)
	if len(files) != 5 {
		t.Fatalf("%v", files)
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, name := range []string{files[0], files[1], files[4]} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	other := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(other, old, old); err != nil {
		t.Fatal(err)
	}
	open(t, Options{Dir: dir, MaxFile: 100, Keep: 24 * time.Hour})
	if got := names(t, dir); strings.Join(got, " ") != strings.Join(append(files[2:5:5], "notes.txt"), " ") {
		t.Errorf("%v of %v", got, files)
	}
}

// TestTextsOfClients cannot break a line, nor fill the disk.
func TestTextsOfClients(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	targets := make([]string, 250)
	for i := range targets {
		targets[i] = strings.Repeat("y", 1000)
	}
	l.Write(Entry{Op: "x", Agent: "a\n{\"n\":99}\xff" + strings.Repeat("z", 10_000), Targets: targets})
	got, _ := read(t, l, Filter{})
	if len(got) != 1 || got[0].N != 1 || len(got[0].Agent) > maxText || len(got[0].Targets) != maxTargets || got[0].More != 150 || len(got[0].Targets[0]) != maxText {
		t.Errorf("%d entries, %+v", len(got), got[0])
	}
}

func TestManyAtOnce(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir(), MaxFile: 2000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				l.Write(Entry{Op: "x"})
				read(t, l, Filter{Limit: 5})
			}
		})
	}
	wg.Wait()
	got, _ := read(t, l, Filter{Limit: 1000})
	for i, e := range got {
		if e.N != uint64(400-i) {
			t.Fatalf("%d: %+v", i, e)
		}
	}
	if len(got) != 400 {
		t.Errorf("%d", len(got))
	}
}

func TestADiskThatIsFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full here")
	}
	var out bytes.Buffer
	l := open(t, Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&out, nil))})
	good := l.file
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	l.file = full
	for range 3 {
		l.Write(Entry{Op: "x"})
	}
	l.file = good
	l.Write(Entry{Op: "y"})
	if n := l.Failed(); n != 3 || strings.Count(out.String(), "not in the audit log") != 1 {
		t.Errorf("%d failed\n%s", n, out.String())
	}
	if got, _ := read(t, l, Filter{}); len(got) != 1 || got[0].N != 1 {
		t.Errorf("%+v", got)
	}
}
