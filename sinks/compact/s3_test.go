package compact

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// s3Env is an environment with a bucket; objects are files below dir.
func s3Env(t *testing.T) (env *stages.Env, bucket, dir string) {
	server := s3test.Start(t)
	env = testEnv(t, "run-1")
	env.S3 = server.Client(t)
	bucket = server.Bucket(t)
	return env, "s3://" + bucket, filepath.Join(server.Dir, bucket)
}

// On S3 the compacted output is another prefix, unless something else is said.
func TestS3ToAnotherPrefix(t *testing.T) {
	env, bucket, dir := s3Env(t)
	small(t, env, sinks.Parquet{Path: bucket + "/out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 4, 40)
	before := read(t, env, bucket+"/out")
	old := tree(t, filepath.Join(dir, "out"))
	r := compacted(t, options(env, bucket+"/out/"))
	if r.To != bucket+"/out-compacted" || r.How != ToPlace || r.Written != 3 || r.Merged != 12 {
		t.Errorf("%+v", r)
	}
	if d := frame.Diff(before, read(t, env, bucket+"/out-compacted")); d != "" {
		t.Error(d)
	}
	if got := tree(t, filepath.Join(dir, "out")); !slices.Equal(old, got) {
		t.Errorf("%v was %v", got, old)
	}
	// To a directory and back, and over what is there.
	o := options(env, bucket+"/out")
	o.To = "local"
	compacted(t, o)
	o = options(env, "local")
	o.To, o.Replace, o.Run = bucket+"/out-compacted", true, "compact-2"
	compacted(t, o)
	if d := frame.Diff(before, read(t, env, bucket+"/out-compacted")); d != "" {
		t.Error(d)
	}
	if n := len(parquets(t, filepath.Join(dir, "out-compacted"))); n != 3 {
		t.Errorf("%d files", n)
	}
}

// In place on S3 the old objects stay for as long as grace says.
func TestS3InPlace(t *testing.T) {
	env, bucket, dir := s3Env(t)
	small(t, env, sinks.Parquet{Path: bucket + "/out"}, 5, 40)
	before := read(t, env, bucket+"/out")
	old := parquets(t, filepath.Join(dir, "out"))
	o := options(env, bucket+"/out")
	o.Publish, o.Grace = Beside, configs.Duration(time.Hour)
	r := compacted(t, o)
	if r.How != Beside || r.Until == nil {
		t.Errorf("%+v", r)
	}
	if d := frame.Diff(before, read(t, env, bucket+"/out")); d != "" {
		t.Error(d)
	}
	if n := len(parquets(t, filepath.Join(dir, "out"))); n != len(old)+1 {
		t.Errorf("%d objects", n)
	}
	at, err := store.Parse(bucket + "/out/_manifest.json")
	if err == nil {
		_, err = env.S3.Put(t.Context(), at, expired(t, filepath.Join(dir, "out"), old), store.Condition{})
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, env, "run-2", sinks.Parquet{Path: bucket + "/out", Files: sinks.Files{IfExists: "append"}}, randomRows(t, everything(t), 200, 40))
	there := parquets(t, filepath.Join(dir, "out"))
	if len(there) != 2 || slices.ContainsFunc(old, func(p string) bool { return slices.Contains(there, p) }) {
		t.Errorf("%v", there)
	}
	if f := read(t, env, bucket+"/out"); f.NumRows() != 240 {
		t.Errorf("%d rows", f.NumRows())
	}
}

func TestS3Refuses(t *testing.T) {
	env, bucket, dir := s3Env(t)
	f := func(path string, o Options, want string) {
		t.Helper()
		o.Env, o.Path, o.Run = env, path, "compact-1"
		_, err := Run(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "a.csv"), []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f(bucket+"/nothing", Options{}, "no Parquet file is in it")
	f(bucket, Options{}, "no Parquet file is in it, but a.csv")
	f(bucket+"/out", Options{Compaction: sinks.Compaction{Publish: Exchange}}, "cannot be exchanged as a whole")
	f(bucket+"/out", Options{Compaction: sinks.Compaction{To: bucket + "/out/new"}}, "or inside of it")
	f("s3://"+strings.Repeat("x", 60)+"/out", Options{}, "there is no bucket")
}
