package sinks

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
)

func TestCompactionBlock(t *testing.T) {
	var p blocks
	text := "sink: {parquet: {path: out, compact: {sort: [user, -at]}}}\ndead_letter: {path: dead}\n"
	if _, problems := configs.Load("x.yaml", []byte(text), configs.Variables{}, &p); len(problems) > 0 {
		t.Fatal(problems)
	}
	want := &Compaction{TargetSize: 256 << 20, AfterFiles: 2, Sort: []string{"user", "-at"}, Publish: "auto", Grace: configs.Duration(time.Hour)}
	if d := cmp.Diff(want, p.Sink.Component.(*Parquet).Compact); d != "" {
		t.Error(d)
	}
}

func TestCompactionChecks(t *testing.T) {
	f := func(p Parquet, c Compaction, want ...string) {
		t.Helper()
		p.Compact = &c
		var got []string
		p.Check(func(field, message, hint string) { got = append(got, strings.TrimSpace(field+": "+message)) })
		if !slices.Equal(got, want) {
			t.Errorf("%+v\ngot  %q\nwant %q", c, got, want)
		}
	}
	f(Parquet{Path: "out"}, Compaction{Sort: []string{"a", "-b"}, Level: 19, To: "new"})
	f(Parquet{Path: "out.parquet"}, Compaction{}, "compact: is for directories of files, and path names one file")
	f(Parquet{Path: "out", Compression: "snappy"}, Compaction{Level: 3}, "compact.level: compression snappy has no levels")
	f(Parquet{Path: "out"}, Compaction{Sort: []string{"a", "-a"}}, "compact.sort: names a column twice, or none")
	f(Parquet{Path: "out"}, Compaction{To: "new", Publish: "beside"}, "compact.to: names another place, and publish: beside is for compacting in place")
	f(Parquet{Path: "s3://b/out"}, Compaction{To: "s3://b/out/"}, "compact.to: is the sink's own path")
	f(Parquet{Path: "s3://b/out"}, Compaction{Publish: "exchange"}, "compact.publish: cannot be exchange on S3")
}
