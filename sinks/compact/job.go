package compact

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rpipe-dev/rpipe/internal/failpoint"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

// passed is called at the places where a crash is the most interesting: tests
// die there.
var passed = failpoint.Hit

// job is one compaction.
type job struct {
	Options
	env    *stages.Env
	place  place
	how    string // ToPlace, Exchange or Beside
	start  time.Time
	report Report

	manifest *manifest // nil where the output has none
	inputs   []*input
	schema   *schema
	order    string // by which rows are sorted, as SQL; "" keeps them as they are
	dirs     []*directory
	nulls    map[string]int64 // missing values of what was read, by column
	seen     Progress
}

func newJob(o Options) (*job, error) {
	j := &job{Options: o, env: detached(o.Env, ""), start: time.Now()}
	if j.env.Run = o.Run; j.env.Run == "" {
		j.env.Run = newRun(j.start)
	}
	if j.env.Log == nil {
		j.env.Log = slog.New(slog.DiscardHandler)
	}
	if j.TargetSize <= 0 {
		j.TargetSize = sinks.DefaultTargetSize
	}
	if j.AfterFiles < 2 {
		j.AfterFiles = sinks.DefaultAfterFiles
	}
	if j.Compression == "" {
		j.Compression = "zstd"
	}
	if err := j.check(); err != nil {
		return nil, misused(err)
	}
	var err error
	if j.place, err = placeOf(j.env, o.Path); err != nil {
		return nil, err
	}
	if err := j.choose(); err != nil {
		return nil, misused(err)
	}
	j.report = Report{Path: j.Path, To: j.To, How: j.how, DryRun: j.DryRun}
	return j, nil
}

// check finds out what is wrong with the options before anything is read.
func (j *job) check() (err error) {
	if !slices.Contains([]string{"zstd", "snappy", "gzip", "lz4", "none"}, j.Compression) {
		return fmt.Errorf("compression is zstd, snappy, gzip, lz4 or none, not %q", j.Compression)
	}
	j.sink("out", "error").Check(func(field, message, hint string) {
		err = &Error{Err: fmt.Errorf("%s %s", field, message), Hint: hint}
	})
	return errors.Join(err, checkSort(j.Sort))
}

// choose decides how the compacted files are published.
func (j *job) choose() error {
	inPlace := j.Publish == Exchange || j.Publish == Beside
	remote := store.IsURL(j.Path)
	switch {
	case j.To != "" && inPlace:
		return &Error{Err: fmt.Errorf("publish: %s is for compacting in place, and to names another place", j.Publish), Hint: "leave one of them out"}
	case remote && j.Publish == Exchange:
		return &Error{Err: errors.New("a prefix on S3 cannot be exchanged as a whole"), Hint: "write to another prefix with to, or use publish: beside"}
	case inPlace:
		j.how = j.Publish
	case j.To != "":
		j.how = ToPlace
	case remote:
		j.how, j.To = ToPlace, strings.TrimRight(j.Path, "/")+"-compacted"
	default:
		j.how = Exchange // or Beside, where that is not possible
	}
	if j.how == ToPlace && within(absolute(j.env, j.To), absolute(j.env, j.Path)) {
		return &Error{Err: fmt.Errorf("%s is the same place, or inside of it", j.To), Hint: "name another one, or leave to out to compact in place"}
	}
	return nil
}

// newRun names a compaction as runs are named: its start in UTC and four random
// bytes. Files are named after it, and so come after those of the runs before.
func newRun(start time.Time) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it does not fail: see crypto/rand
	return start.UTC().Format("20060102T150405") + "-" + hex.EncodeToString(b[:])
}

// absolute is a path as it is compared with others.
func absolute(env *stages.Env, p string) string {
	if store.IsURL(p) {
		return strings.TrimRight(p, "/")
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(env.Dir, p)
	}
	if real, err := filepath.EvalSymlinks(p); err == nil {
		p = real
	}
	return filepath.ToSlash(filepath.Clean(p))
}

// within reports whether p is dir or below it.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimRight(dir, "/")+"/")
}

// dirOf is the directory of a slash-separated relative path; "" at the top.
func dirOf(rel string) string {
	if d := path.Dir(rel); d != "." {
		return d
	}
	return ""
}
