package sinks

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
)

// blocks is a pipeline file's sink: and dead_letter:.
type blocks struct {
	Sink       union      `yaml:"sink" doc:"The output."`
	DeadLetter DeadLetter `yaml:"dead_letter" doc:"Where failed rows go."`
}

type union struct {
	Component any `yaml:",component"`
}

// Components implements configs.Union.
func (union) Components() configs.Table { return Table }

func TestConfigsAreDocumented(t *testing.T) {
	for _, c := range Table {
		if _, ok := c.New().(Sink); !ok {
			t.Errorf("%s is not a Sink", c.Name)
		}
		if problems := configs.Audit(c.New()); len(problems) > 0 {
			t.Errorf("%s: %v", c.Name, problems)
		}
	}
	if problems := configs.Audit(&DeadLetter{}); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestDefaults(t *testing.T) {
	f := func(text string, want any) {
		t.Helper()
		var p blocks
		if _, problems := configs.Load("x.yaml", []byte(text+"\ndead_letter: {path: dead}\n"), configs.Variables{}, &p); len(problems) > 0 {
			t.Fatal(problems)
		}
		if d := cmp.Diff(want, p.Sink.Component, cmp.AllowUnexported(Stdout{}, Files{})); d != "" {
			t.Error(d)
		}
	}
	f("sink: {parquet: {path: out}}", &Parquet{
		Path: "out", Compression: "zstd", RowGroup: RowGroup{Rows: 100_000, Bytes: 64 << 20}, Files: Files{MaxOpen: 64, IfExists: "error"},
	})
	f("sink: {parquet: {path: out, partition_by: [month, day], row_group: {rows: 5}, bytes_per_file: 1GiB}}", &Parquet{
		Path: "out", Compression: "zstd", RowGroup: RowGroup{Rows: 5, Bytes: 64 << 20}, Files: Files{MaxOpen: 64, IfExists: "error", PartitionBy: []string{"month", "day"}, BytesPerFile: 1 << 30},
	})
	f("sink: {csv: {path: out}}", &CSV{
		Path: "out", Header: true, Delimiter: ",", Quote: "needed", Decimal: ".", LineEnding: "lf", Compression: "auto", Files: Files{MaxOpen: 64, IfExists: "error"},
	})
	f("sink: {ndjson: {path: out}}", &NDJSON{Path: "out", Nulls: "keep", NaN: "null", Compression: "auto", Files: Files{MaxOpen: 64, IfExists: "error"}})
	f("sink: {rds: {path: out}}", &RDS{Path: "out", Compression: "gzip", Int64: "double", MaxBytes: 512 << 20, Files: Files{MaxOpen: 64, IfExists: "error"}})
	f("sink: {stdout: {}}", &Stdout{Format: "table", Rows: 20, Header: true, Delimiter: ","})
}

func TestCheck(t *testing.T) {
	f := func(c configs.Checker, want ...string) {
		t.Helper()
		var got []string
		c.Check(func(field, message, hint string) { got = append(got, strings.TrimSpace(field+": "+message)) })
		if !slices.Equal(got, want) {
			t.Errorf("%+v\ngot  %q\nwant %q", c, got, want)
		}
	}
	f(&Parquet{Path: "out", Compression: "zstd", Level: 19})
	f(&Parquet{Path: "out.parquet"})
	f(&Parquet{Path: "out.parquet", Files: Files{RowsPerFile: 1, BytesPerFile: 1, PartitionBy: []string{"x"}, IfExists: "append"}},
		"rows_per_file: does not go with a single file", "bytes_per_file: does not go with a single file",
		"partition_by: does not go with a single file", "if_exists: append does not go with a single file")
	f(&Parquet{Path: "out", Compression: "snappy", Level: 3}, "level: compression snappy has no levels")
	f(&Parquet{Path: "out", Compression: "gzip", Level: 10}, "level: is outside of what gzip has")
	f(&Parquet{Path: "out", Files: Files{PartitionBy: []string{"a", "a", ""}}}, "partition_by: names column a twice", "partition_by: holds an empty column name")
	f(&Parquet{Path: "out", Files: Files{IfExists: "replace_partitions"}}, "if_exists: replace_partitions needs partition_by")
	f(&Parquet{Path: "out.csv"}, "path: ends in .csv, and this sink writes .parquet")
	f(&CSV{Path: "out.parquet"}, "path: ends in .parquet, and this sink writes .csv")
	f(&CSV{Path: "s3://bucket/out.csv.gz"})
	f(&CSV{Path: "s3://:9000/out"}, `path: "s3://:9000/out" has no name of a bucket after s3://: write s3://bucket/key; the server's address belongs into the s3 block, under endpoint`)
	f(&CSV{Path: "out.tsv.gz", Delimiter: `\t`})
	f(&CSV{Path: "out.csv.gz", Compression: "zstd"}, "compression: is zstd, and the path ends in .csv.gz")
	f(&CSV{Path: "out", Delimiter: ";;"}, "delimiter: must be one ASCII character")
	f(&CSV{Path: "out", Delimiter: "\""}, "delimiter: must not be a quote or a line break")
	f(&CSV{Path: "out", Decimal: ","}, "decimal: is the delimiter too")
	f(&CSV{Path: "out", NA: "a,b"}, "na: must not hold a quote, a line break or the delimiter")
	f(&NDJSON{Path: "x.jsonl.zst"})
	f(&RDS{Path: "x.rds"})
	f(&Stdout{Delimiter: "ab"}, "delimiter: must be one ASCII character")
}
