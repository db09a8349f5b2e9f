//go:build unix

package compact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// childVariable holds what a process of ours is to compact, and where to die.
const childVariable = "RPIPE_TEST_COMPACT"

func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(child(text))
	}
	goleak.VerifyTestMain(m)
}

// doomed is a compaction that dies.
type doomed struct {
	Dir, Path string
	Publish   string
	To        string
	Grace     configs.Duration
	Place     string // kill -9 where this place is passed
	Progress  int    // or at this call of Progress
	S3        *s3Keys
}

type s3Keys struct{ Endpoint, Key, Secret string }

// child compacts in a process of its own, which kills itself.
func child(text string) int {
	var d doomed
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	die := func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
	passed = func(place string) {
		if place == d.Place {
			die()
		}
	}
	calls := 0
	o := Options{
		Env: &stages.Env{Dir: d.Dir, Parallel: 2}, Path: d.Path, Run: "dead-1",
		Compaction: sinks.Compaction{Publish: d.Publish, To: d.To, Grace: d.Grace},
		Progress: func(Progress) {
			if calls++; calls == d.Progress {
				die()
			}
		},
	}
	if d.S3 != nil {
		o.Env.S3 = store.New(store.Config{
			Endpoint: d.S3.Endpoint, Region: "us-east-1", AccessKeyID: configs.Secret(d.S3.Key), SecretAccessKey: configs.Secret(d.S3.Secret),
			Lease: configs.Duration(5 * time.Second),
		})
	}
	if _, err := Run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// dies runs a doomed compaction. It reports whether it died, rather than ended.
func dies(t *testing.T, d doomed) bool {
	t.Helper()
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(b))
	var out bytes.Buffer
	cmd.Stderr = &out
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return true
	}
	if err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	return false
}

// listedRows counts what is in the directory, whatever the manifest says.
func listedRows(t *testing.T, env *stages.Env, path string) int64 {
	t.Helper()
	r, err := (&sources.Parquet{Path: sources.Paths{path}, Manifest: "off"}).Open(t.Context(), env, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return r.Size().Rows
}

// A compaction that dies at whatever place leaves the old output or the new one
// whole, for readers by the manifest and, where the directory is exchanged, for
// those who list it. The next compaction, or the next run, removes the rest.
func TestDies(t *testing.T) {
	places := map[string][]string{
		Exchange: {"compact-directory", "compact-written", "compact-built", "compact-exchanged", "compact-adopted"},
		Beside:   {"compact-directory", "compact-written", "compact-published", "compact-committed"},
	}
	for publish, names := range places {
		if publish == Exchange && runtime.GOOS != "linux" {
			continue
		}
		for _, place := range names {
			for _, next := range []string{"compaction", "run"} {
				t.Run(publish+" at "+place+" then "+next, func(t *testing.T) {
					t.Parallel()
					env := testEnv(t, "run-1")
					small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 4, 30)
					before := read(t, env, "out")
					if !dies(t, doomed{Dir: env.Dir, Path: "out", Publish: publish, Place: place}) {
						t.Fatal("it did not die")
					}
					if d := frame.Diff(before, read(t, env, "out")); d != "" {
						t.Error(d)
					}
					if rows := listedRows(t, env, "out"); rows != 120 && publish == Exchange {
						t.Errorf("who lists sees %d rows", rows)
					}
					comesAfter(t, env, next, before)
				})
			}
		}
	}
}

// comesAfter lets another compaction or run follow, and looks whether every row
// is there once and nothing else is.
func comesAfter(t *testing.T, env *stages.Env, next string, before frame.Frame) {
	t.Helper()
	dir := filepath.Join(env.Dir, "out")
	if next == "run" {
		write(t, env, "run-2", sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}, IfExists: "append"}}, randomRows(t, everything(t), 120, 10))
		more, err := frame.Concat(before, randomRows(t, read(t, env, "out").Schema(), 120, 10))
		if err != nil {
			t.Fatal(err)
		}
		before = more
	} else {
		compacted(t, options(env, "out"))
	}
	after := read(t, env, "out")
	if d := frame.Diff(before, after); d != "" {
		t.Error(d)
	}
	if rows := listedRows(t, env, "out"); rows != after.NumRows() {
		t.Errorf("who lists sees %d rows of %d", rows, after.NumRows())
	}
	files := []string{"_manifest.json"}
	for _, f := range manifestOf(t, dir).Files {
		files = append(files, f.Path)
	}
	slices.Sort(files)
	there := tree(t, dir)
	slices.Sort(there)
	if d := cmp.Diff(files, there); d != "" {
		t.Error(d)
	}
	if next == "run" {
		if err := Sweep(dir); err != nil { // as a run does that has the lock
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(env.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "out" {
			t.Errorf("left beside: %s", e.Name())
		}
	}
}

// The same at any moment while rows are read and written.
func TestDiesAtAnyMoment(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 4, 30)
	before := read(t, env, "out")
	deaths := 0
	for at := 1; ; at += 3 {
		publish := []string{Exchange, Beside}[at%2]
		if runtime.GOOS != "linux" {
			publish = Beside
		}
		if !dies(t, doomed{Dir: env.Dir, Path: "out", Publish: publish, Progress: at}) {
			break
		}
		deaths++
		if d := frame.Diff(before, read(t, env, "out")); d != "" {
			t.Fatalf("death %d: %s", at, d)
		}
	}
	if deaths < 8 {
		t.Errorf("it died %d times", deaths)
	}
	if m := manifestOf(t, filepath.Join(env.Dir, "out")); m.Run != "dead-1" || len(m.Files) != 3 {
		t.Errorf("%+v", m)
	}
	comesAfter(t, env, "compaction", before)
}

// A copy to another place that dies leaves nothing that a reader would take for
// the output, and does not hinder the next one.
func TestCopyDies(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 4, 30)
	before := read(t, env, "out")
	if !dies(t, doomed{Dir: env.Dir, Path: "out", To: "new", Place: "compact-published"}) {
		t.Fatal("it did not die")
	}
	if _, err := os.Stat(filepath.Join(env.Dir, "new", "_manifest.json")); err == nil {
		t.Error("the manifest was there before its time")
	}
	o := options(env, "out")
	o.To = "new"
	compacted(t, o)
	if d := frame.Diff(before, read(t, env, "new")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"_manifest.json", manifestOf(t, filepath.Join(env.Dir, "new")).Files[0].Path}, tree(t, filepath.Join(env.Dir, "new"))); d != "" {
		t.Error(d)
	}
}

func TestS3Dies(t *testing.T) {
	for _, place := range []string{"compact-written", "compact-published", "compact-committed"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			env, bucket, dir := s3Env(t)
			server := s3test.Start(t)
			small(t, env, sinks.Parquet{Path: bucket + "/out"}, 4, 30)
			before := read(t, env, bucket+"/out")
			keys := &s3Keys{Endpoint: server.Endpoint, Key: server.AccessKey, Secret: server.SecretKey}
			if !dies(t, doomed{Dir: env.Dir, Path: bucket + "/out", Publish: Beside, Place: place, S3: keys}) {
				t.Fatal("it did not die")
			}
			if d := frame.Diff(before, read(t, env, bucket+"/out")); d != "" {
				t.Error(d)
			}
			o := options(env, bucket+"/out")
			o.Publish = Beside
			compacted(t, o)
			if d := frame.Diff(before, read(t, env, bucket+"/out")); d != "" {
				t.Error(d)
			}
			if files := parquets(t, filepath.Join(dir, "out")); len(files) != 1 {
				t.Errorf("left: %s", strings.Join(files, ", "))
			}
			if n := server.OpenUploads(t, strings.TrimPrefix(bucket, "s3://")); n != 0 {
				t.Errorf("%d uploads are open", n)
			}
		})
	}
}
