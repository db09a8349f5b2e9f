package sinks

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// fullFile is a file on a device that is full after room bytes. What refuses
// the write then is the kernel's /dev/full, so that the error is the real one.
type fullFile struct {
	storage
	room *int64
	full *os.File
}

func (f *fullFile) Write(b []byte) (int, error) {
	if *f.room -= int64(len(b)); *f.room < 0 {
		return f.full.Write(b)
	}
	return f.storage.Write(b)
}

// fill makes a writer's disk full after room bytes.
func fill(t *testing.T, w Writer, room int64) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("this system has no /dev/full to be refused by: ", err)
	}
	t.Cleanup(func() { full.Close() })
	onDisk(w).create = func(path string) (storage, error) {
		f, err := createFile(path)
		return &fullFile{f, &room, full}, err
	}
}

// run goes through the protocol until its first error.
func run(t *testing.T, w Writer, batches ...*stages.Rows) error {
	for _, b := range batches {
		if err := w.Write(t.Context(), b); err != nil {
			return err
		}
	}
	parts, err := w.Prepare(t.Context(), 0)
	if err != nil {
		return err
	}
	if err := w.Publish(t.Context(), parts); err != nil {
		return err
	}
	return w.Finish(t.Context(), true)
}

func TestFullDisk(t *testing.T) {
	eachSink(t, func(t *testing.T, ext string, sink func(string, Files) Sink) {
		var batches []*stages.Rows
		for i := range 5 {
			batches = append(batches, rows(0, 1000*i, 1000))
		}
		for _, room := range []int64{0, 100, 5000} {
			for _, l := range []Files{{}, {PartitionBy: []string{"part"}}, {RowsPerFile: 700}} {
				env := testEnv(t, "run-1")
				w := open(t, sink("new/out", l), env)
				fill(t, w, room)
				err := run(t, w, batches...)
				if !errors.Is(err, syscall.ENOSPC) {
					t.Fatalf("room %d: %v", room, err)
				}
				for _, word := range []string{"new/out", "no space left on device", "free space"} {
					if !strings.Contains(err.Error(), word) {
						t.Errorf("the message lacks %q: %v", word, err)
					}
				}
				if strings.Contains(err.Error(), ".tmp-") {
					t.Errorf("a temporary name tells a user nothing: %v", err)
				}
				if err := w.Abort(); err != nil {
					t.Fatal(err)
				}
				if _, err := os.Stat(filepath.Join(env.Dir, "new")); err == nil {
					t.Errorf("left behind: %v", tree(t, env.Dir))
				}
			}
		}
	})
}

// The manifest is the last thing written. Where the disk is full by then, the
// old manifest and the old files are as they were.
func TestFullDiskAtTheManifest(t *testing.T) {
	env := testEnv(t, "run-1")
	first := commit(t, &Parquet{Path: "out"}, env, rows(0, 0, 10))
	manifest := filepath.Join(env.Dir, "out", "_manifest.json")
	before := string(must(os.ReadFile(manifest))(t))
	env.Run = "run-2"
	w := open(t, &Parquet{Path: "out", Files: Files{IfExists: "replace"}}, env)
	if err := w.Write(t.Context(), rows(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	parts := must(w.Prepare(t.Context(), 0))(t)
	if err := w.Publish(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	fill(t, w, 0)
	if err := w.Finish(t.Context(), true); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if string(must(os.ReadFile(manifest))(t)) != before {
		t.Error("the manifest changed")
	}
	if _, err := os.Stat(filepath.Join(env.Dir, "out", first[0].Path)); err != nil {
		t.Error(err)
	}
	for _, path := range tree(t, env.Dir) {
		if strings.Contains(path, ".tmp-") {
			t.Errorf("left behind: %s", path)
		}
	}
}

func TestBadPaths(t *testing.T) {
	env := testEnv(t, "run-1")
	if err := os.WriteFile(filepath.Join(env.Dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(env.Dir, "dir.csv"), 0o755); err != nil {
		t.Fatal(err)
	}
	f := func(path string, words ...string) {
		t.Helper()
		_, err := (&CSV{Path: path}).Open(t.Context(), env)
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("%s: the message lacks %q: %v", path, word, err)
			}
		}
	}
	f("file", "file is a file, and a directory is needed")
	f("file/below", "not a directory", "a parent of the path is a file")
	f("dir.csv", "it is a directory", ".csv asks for a file")
}

// A file that a run cannot close was not written, as NFS tells of a full disk.
type unclosable struct{ storage }

func (u unclosable) Close() error {
	u.storage.Close()
	return &os.PathError{Op: "close", Path: "x", Err: syscall.EDQUOT}
}

func TestCloseFails(t *testing.T) {
	env := testEnv(t, "run-1")
	w := open(t, &CSV{Path: "out"}, env)
	onDisk(w).create = func(path string) (storage, error) {
		f, err := createFile(path)
		return unclosable{f}, err
	}
	if err := run(t, w, rows(0, 0, 10)); !errors.Is(err, syscall.EDQUOT) || !strings.Contains(err.Error(), "quota") {
		t.Error(err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, env.Dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A partition whose directory cannot be made ends the run at its first row, not
// after the last.
func TestPartitionsThatCannotBeMade(t *testing.T) {
	f := func(value string, words ...string) {
		t.Helper()
		env := testEnv(t, "run-1")
		if err := os.MkdirAll(filepath.Join(env.Dir, "out"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(env.Dir, "out", "p=file"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		before := tree(t, env.Dir)
		b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
			typed("new", arrow.BinaryTypes.String), typed("p", arrow.BinaryTypes.String), typed("x", arrow.PrimitiveTypes.Int32),
		}, nil))
		b.Column(0).AppendString("not there yet")
		b.Column(1).AppendString(value)
		b.Column(2).AppendInt32(1)
		by := []string{"p", "new"}
		if value != "file" {
			by = []string{"new", "p"}
		}
		w := open(t, &CSV{Path: "out", Files: Files{PartitionBy: by}}, env)
		err := w.Write(t.Context(), rowsOf(must(b.Frame())(t)))
		for _, word := range words {
			if err == nil || !strings.Contains(err.Error(), word) {
				t.Errorf("the message lacks %q: %v", word, err)
			}
		}
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(before, tree(t, env.Dir)); d != "" {
			t.Error(d)
		}
	}
	f(strings.Repeat("a", 300), "file name too long", "partition by a shorter column")
	f("file", "p=file is a file")
}

// The output is committed by its manifest: what fails later says so, and takes
// nothing back.
func TestFaultAfterTheCommit(t *testing.T) {
	env := testEnv(t, "run-1")
	first := commit(t, &Parquet{Path: "out"}, env, rows(0, 0, 10))
	dir := filepath.Join(env.Dir, "out")
	old := filepath.Join(dir, first[0].Path)
	env.Run = "run-2"
	w := open(t, &Parquet{Path: "out", Files: Files{IfExists: existsReplace}}, env)
	if err := w.Write(t.Context(), rows(0, 0, 10)); err != nil {
		t.Fatal(err)
	}
	parts := must(w.Prepare(t.Context(), 0))(t)
	if err := w.Publish(t.Context(), parts); err != nil {
		t.Fatal(err)
	}
	// Not even root deletes a directory that holds a file as if it were one.
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(old, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.Finish(t.Context(), true); !errors.Is(err, ErrCommitted) {
		t.Errorf("%v", err)
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if m := readManifestFile(t, filepath.Join(dir, "_manifest.json")); m.Run != "run-2" || len(m.Replaces) != 1 {
		t.Errorf("manifest %+v", m)
	}
	if err := same(filepath.Join(dir, parts[0].Path), parts[0]); err != nil {
		t.Error(err)
	}
}
