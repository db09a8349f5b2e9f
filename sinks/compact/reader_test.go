package compact

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/sources"
	"github.com/rpipe-dev/rpipe/stages"
)

// Who reads by the manifest while one compaction follows the other finds every
// row once, each time. Beside the new files the old ones stay, so that no reader
// is disturbed; where the directory is exchanged, one that is in the middle of it
// may be told that a file is gone, and finds everything when it begins again.
func TestReadersSeeEveryRowOnce(t *testing.T) {
	f := func(name string, publish string, env *stages.Env, path string) {
		t.Run(name, func(t *testing.T) {
			sink := sinks.Parquet{Path: path, Files: sinks.Files{IfExists: "append"}}
			small(t, env, sink, 6, 200)
			want := read(t, env, path)
			ctx, cancel := context.WithCancel(t.Context())
			var readers sync.WaitGroup
			reads, again := 0, 0
			readers.Go(func() {
				for ctx.Err() == nil {
					got, err := readAll(t.Context(), env, path)
					if publish == Exchange && errors.Is(err, fs.ErrNotExist) {
						again++
						continue
					}
					if err != nil {
						t.Errorf("read %d: %v", reads, err)
						return
					}
					reads++
					id := slices.Sorted(slices.Values(ids(t, got)))
					for i, v := range id {
						if v != int64(i) {
							t.Errorf("read %d: row %d is missing or there twice, of %d", reads, i, len(id))
							return
						}
					}
					if int64(len(id)) < want.NumRows() {
						t.Errorf("read %d: %d rows", reads, len(id))
						return
					}
				}
			})
			// Between the steps of a compaction there is a reader for certain.
			o := options(env, path)
			o.Publish, o.Grace = publish, configs.Duration(time.Hour)
			o.Progress = func(p Progress) {
				if p.Read != 0 && p.Step != "publishing" {
					return
				}
				got, err := readAll(t.Context(), env, path)
				if err != nil || got.NumRows() < want.NumRows() {
					t.Errorf("%s: %v", p.Step, err)
				}
			}
			for round := range 4 {
				o.Run = "compact-" + string(rune('a'+round))
				if r := compacted(t, o); r.How != publish || !r.Changed() {
					t.Errorf("%+v", r)
				}
				write(t, env, "later-"+string(rune('a'+round)), sink, randomRows(t, everything(t), 1200+round*10, 10))
			}
			cancel()
			readers.Wait()
			if got := read(t, env, path); got.NumRows() != 1240 {
				t.Errorf("%d rows in the end", got.NumRows())
			}
			t.Logf("%d reads, %d began again", reads, again)
			if reads == 0 {
				t.Error("nothing was read meanwhile")
			}
		})
	}
	f("beside", Beside, testEnv(t, "run-1"), "out")
	if canSwap(t.TempDir(), "x") {
		f("exchange", Exchange, testEnv(t, "run-1"), "out")
	}
	env, bucket, _ := s3Env(t)
	f("S3", Beside, env, bucket+"/out")
}

// A reader that has begun beside goes on with the files that it knows.
func TestReaderThatHasBegun(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out"}, 6, 200)
	env.Parallel = 1
	r, err := (&sources.Parquet{Path: sources.Paths{"out"}}).Open(t.Context(), env, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	first, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := options(env, "out")
	o.Publish, o.Grace = Beside, configs.Duration(time.Hour)
	compacted(t, o)
	rows := first.Frame.NumRows()
	for {
		read, err := r.Next(t.Context())
		if err != nil {
			break
		}
		rows += read.Frame.NumRows()
	}
	if rows != 1200 {
		t.Errorf("%d rows", rows)
	}
}

// An interrupt leaves everything as it was, whenever it comes.
func TestInterrupt(t *testing.T) {
	env := testEnv(t, "run-1")
	small(t, env, sinks.Parquet{Path: "out", Files: sinks.Files{PartitionBy: []string{"day"}}}, 4, 30)
	before, files := read(t, env, "out"), tree(t, env.Dir)
	interrupts := 0
	for at := 1; ; at += 5 {
		ctx, cancel := context.WithCancelCause(t.Context())
		o := options(env, "out")
		o.Publish = []string{"auto", Beside, "auto"}[at%3]
		if at%3 == 2 {
			o.To = "new"
		}
		o.Run, o.Sort = "", [][]string{nil, {"id"}}[at%2]
		calls, stop := 0, errors.New("stopped by a test")
		o.Progress = func(Progress) {
			if calls++; calls == at {
				cancel(stop)
			}
		}
		_, err := Run(ctx, o)
		cancel(nil)
		if calls < at {
			break
		}
		interrupts++
		if !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted at call %d: %v", at, err)
		}
		if d := cmp.Diff(files, tree(t, env.Dir)); d != "" {
			t.Fatalf("interrupted at call %d: %s", at, d)
		}
	}
	if interrupts < 5 {
		t.Errorf("%d interrupts", interrupts)
	}
	compacted(t, options(env, "out"))
	if d := frame.Diff(before, read(t, env, "out")); d != "" {
		t.Error(d)
	}
}
