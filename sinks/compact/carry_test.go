package compact

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/sinks"
)

// What somebody puts into the directory while it is compacted is there
// afterwards: new files, new directories, and files put in the place of others.
func TestFilesThatComeMeanwhile(t *testing.T) {
	if !canSwap(t.TempDir(), "x") {
		return
	}
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 3, 10)
	dir := filepath.Join(env.Dir, "out")
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path+".part", []byte(text), 0o644), os.Rename(path+".part", path)); err != nil {
			t.Fatal(err)
		}
	}
	put("same.md", "same")
	put("changed.md", "before")
	put("notes/a.txt", "a")
	t.Cleanup(func() { passed = func(string) {} })
	passed = func(place string) {
		if place == "compact-built" {
			put("changed.md", "after")
			put("new.md", "new")
			put("notes/b.txt", "b")
			put("deep/down/c.txt", "c")
		}
	}
	compacted(t, options(env, "out"))
	for name, want := range map[string]string{
		"same.md": "same", "changed.md": "after", "new.md": "new", "notes/a.txt": "a", "notes/b.txt": "b", "deep/down/c.txt": "c",
	} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != want {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if n := len(parquets(t, dir)); n != 1 {
		t.Errorf("%d files", n)
	}
	if left, _ := os.ReadDir(env.Dir); len(left) != 1 {
		t.Errorf("left beside: %v", left)
	}
}

// What came into the directory before it was exchanged is there after a crash
// that came before it was adopted, too; and what came after the exchange stays.
func TestFilesThatComeBeforeACrash(t *testing.T) {
	if !canSwap(t.TempDir(), "x") {
		return
	}
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 3, 10)
	dir := filepath.Join(env.Dir, "out")
	put := func(dir, name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path+".part", []byte(text), 0o644), os.Rename(path+".part", path)); err != nil {
			t.Fatal(err)
		}
	}
	put(dir, "same.md", "same")
	put(dir, "later.md", "before")
	t.Cleanup(func() { passed = func(string) {} })
	left := filepath.Join(env.Dir, siblings(dir)+"dead-1") // as it was when the process died
	passed = func(place string) {
		if place != "compact-exchanged" {
			return
		}
		put(dir, "later.md", "after")
		entries, err := os.ReadDir(env.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() != "out" {
				if err := os.CopyFS(left, os.DirFS(filepath.Join(env.Dir, e.Name()))); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	compacted(t, options(env, "out"))
	if b, err := os.ReadFile(filepath.Join(dir, "later.md")); string(b) != "after" {
		t.Errorf("put there after the exchange: %q %v", b, err)
	}
	put(left, "new.md", "new")
	put(left, "deep/down/c.txt", "c")
	before := parquets(t, dir)
	if err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"same.md": "same", "new.md": "new", "deep/down/c.txt": "c"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); string(b) != want {
			t.Errorf("%s: %q %v", name, b, err)
		}
	}
	if d := cmp.Diff(before, parquets(t, dir)); d != "" {
		t.Error(d)
	}
	if there, _ := os.ReadDir(env.Dir); len(there) != 1 {
		t.Errorf("left beside: %v", there)
	}
}

// What is swept of one output is nothing of another whose name is much the same.
func TestSweepSparesAnotherOutput(t *testing.T) {
	parent := t.TempDir()
	a, b := filepath.Join(parent, "a=b"), filepath.Join(parent, "a_b")
	for _, dir := range []string{a, b, filepath.Join(parent, siblings(a)+"dead-1"), filepath.Join(parent, siblings(b)+"alive-1")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(a); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if d := cmp.Diff([]string{siblings(b) + "alive-1", "a=b", "a_b"}, left); d != "" {
		t.Error(d)
	}
}

// Where somebody removed the lock and another run took the place, that run's
// files are not exchanged away.
func TestLockThatIsLost(t *testing.T) {
	if !canSwap(t.TempDir(), "x") {
		return
	}
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 3, 10)
	dir := filepath.Join(env.Dir, "out")
	t.Cleanup(func() { passed = func(string) {} })
	passed = func(place string) {
		if place != "compact-built" {
			return
		}
		if err := os.Remove(filepath.Join(dir, lockName)); err != nil {
			t.Fatal(err)
		}
		write(t, env, "run-2", sinks.Parquet{Path: "out", Files: sinks.Files{IfExists: "append"}}, randomRows(t, everything(t), 30, 10))
	}
	if _, err := Run(t.Context(), options(env, "out")); !errors.Is(err, sinks.ErrFenced) {
		t.Error(err)
	}
	if f := read(t, env, "out"); f.NumRows() != 40 {
		t.Errorf("%d rows", f.NumRows())
	}
	if left, _ := os.ReadDir(env.Dir); len(left) != 1 {
		t.Errorf("left beside: %v", left)
	}
	if n := len(manifestOf(t, dir).Files); n != 4 {
		t.Errorf("%d files", n)
	}
}

// A file that this user may not link to is copied.
func TestCopiesWhatItMayNotLink(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if err := os.WriteFile(from, []byte("text"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(from, to); err != nil {
		t.Fatal(err)
	}
	a, _ := os.Stat(from)
	b, err := os.Stat(to)
	if err != nil || b.Mode() != a.Mode() || !b.ModTime().Equal(a.ModTime()) || b.Size() != 4 {
		t.Error(a, b, err)
	}
}
