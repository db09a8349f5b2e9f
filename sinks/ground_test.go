package sinks

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// ground is a place and a format that the suite runs on. The server of the tests
// keeps objects as files, so that both are looked at in the same way.
type ground struct {
	ext  string
	sink func(path string, l Files) Sink
	env  func(t testing.TB, run string) *stages.Env // Dir is where the files are
	s3   bool
}

// eachGround runs a test for every file sink on disk, and for some on S3. Grounds
// wait for disks and a server most of the time, so they do at once.
func eachGround(t *testing.T, f func(t *testing.T, g *ground)) {
	for _, s := range fileSinks {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			f(t, &ground{ext: s.ext, sink: s.make, env: testEnv})
		})
		if s.name != "parquet" && s.name != "csv gzip" {
			continue
		}
		t.Run(s.name+" on S3", func(t *testing.T) {
			t.Parallel()
			f(t, onS3(t, s.ext, s.make))
		})
	}
}

// eachPlace runs a test with Parquet on disk and on S3: what it is about is the
// same for all formats.
func eachPlace(t *testing.T, f func(t *testing.T, g *ground)) {
	for _, place := range []string{"on disk", "on S3"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			g := &ground{ext: fileSinks[0].ext, sink: fileSinks[0].make, env: testEnv}
			if place == "on S3" {
				g = parquetOnS3(t)
			}
			f(t, g)
		})
	}
}

// onS3 is a ground of which each env has a bucket of its own.
func onS3(t testing.TB, ext string, sink func(string, Files) Sink) *ground {
	server := s3test.Start(t)
	return &ground{
		ext: ext, s3: true,
		sink: func(path string, l Files) Sink { return bucketSink{path, l, sink} },
		env: func(t testing.TB, run string) *stages.Env {
			env := testEnv(t, run)
			env.Dir = filepath.Join(server.Dir, server.Bucket(t))
			env.S3 = server.Client(t)
			return env
		},
	}
}

// bucketSink puts the path below the bucket of the env.
type bucketSink struct {
	path string
	l    Files
	make func(string, Files) Sink
}

func (s bucketSink) Open(ctx context.Context, env *stages.Env) (Writer, error) {
	return s.make("s3://"+filepath.Base(env.Dir)+"/"+s.path, s.l).Open(ctx, env)
}

// restarted is env as another process has it.
func restarted(t testing.TB, env *stages.Env) *stages.Env {
	t.Helper()
	e := *env
	if env.S3 != nil {
		e.S3 = store.New(env.S3.Config())
		t.Cleanup(e.S3.Close)
	}
	return &e
}

// die ends a writer as kill -9 does: nothing of it is removed, the kernel lets go
// of its locks, and its lease has run out when the call returns.
func die(t testing.TB, w Writer) {
	t.Helper()
	switch p := placeOf(w).(type) {
	case *directory:
		p.lock.f.Close()
		p.lock.f = nil
	case *bucket:
		stall(t, p)
		p.cancel()
	}
}

// stall stops the goroutine that renews a lease, as SIGSTOP does, and lets the
// lease run out.
func stall(t testing.TB, b *bucket) {
	t.Helper()
	b.lock.end()
	old := time.Now().Add(-2 * b.lock.ttl)
	check(t, os.Chtimes(s3test.Start(t).Path(b.lock.at), old, old))
}

func placeOf(w Writer) place {
	if f, ok := w.(*fileWriter); ok {
		return f.out.place
	}
	return nil
}

// uploads is how many uploads of an env's bucket are open.
func uploads(t testing.TB, env *stages.Env) int {
	t.Helper()
	if env.S3 == nil {
		return 0
	}
	return s3test.Start(t).OpenUploads(t, filepath.Base(env.Dir))
}

// leftovers are the hidden files below a directory.
func leftovers(t testing.TB, dir string) (left []string) {
	t.Helper()
	for _, path := range tree(t, dir) {
		for part := range strings.SplitSeq(path, "/") {
			if strings.HasPrefix(part, ".") && part != ".sgwtmp" {
				left = append(left, path)
				break
			}
		}
	}
	return left
}
