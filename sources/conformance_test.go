package sources

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
	"github.com/rpipe-dev/rpipe/rdata"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subject is a source with enough rows for several reads, whose first column,
// int32 or int64, counts the rows from 0; and the same without any row.
type subject struct {
	name  string
	dir   string
	s3    *store.Client // nil on disk
	rows  int
	bad   int // records that are none, beside the rows
	full  Source
	empty Source
}

const subjectRows = 50000

// subjects makes one of each source, and of each way to read it that differs
// behind the interface.
func subjects(t *testing.T) []subject {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	csvText := func(from, to int) []byte {
		var b bytes.Buffer
		b.WriteString("id,text,value\n")
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "%d,\"line %d\n, \"\"quoted\"\"\",%d.5\n", i, i, i)
		}
		return b.Bytes()
	}
	third := subjectRows / 3
	jsonText := func(from, to int) []byte {
		var b bytes.Buffer
		for i := from; i < to; i++ {
			fmt.Fprintf(&b, "{\"id\":%d,\"text\":\"line\\n%d\",\"tags\":[%d]}\n", i, i, i)
		}
		return b.Bytes()
	}
	write("part-1.ndjson", jsonText(0, third))
	write("part-2.ndjson", append([]byte("\n \n"), jsonText(third, subjectRows)...))
	write("none.ndjson", nil)
	write("one.csv", csvText(0, subjectRows))
	write("part-1.csv", csvText(0, third))
	write("part-2.csv", csvText(third, third))
	write("part-3.csv", csvText(third, subjectRows))
	write("none.csv", csvText(0, 0))
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(csvText(0, subjectRows))
	w.Close()
	write("one.csv.gz", z.Bytes())

	// Bad records: now and then, more in a row than a read has, and at the end.
	spoiled := func(text []byte) (spoiled []byte, bad int) {
		n := 0
		for line := range bytes.Lines(text) {
			more := 0
			switch n++; {
			case n == 20001:
				more = frame.Rows*3/2 + 1
			case n == subjectRows:
				more = 3
			case n%1000 == 0:
				more = 1
			}
			spoiled = append(append(spoiled, line...), bytes.Repeat([]byte("bad\n"), more)...)
			bad += more
		}
		return spoiled, bad
	}
	plain := []byte("id,text\n")
	for i := range subjectRows {
		plain = fmt.Appendf(plain, "%d,line %d\n", i, i)
	}
	badCSV, inCSV := spoiled(plain)
	badJSON, inJSON := spoiled(jsonText(0, subjectRows))
	write("bad.csv", badCSV)
	write("bad.ndjson", badJSON)
	write("worse.ndjson", bytes.Repeat([]byte("{]\n"), 7))

	rows := manyRows(subjectRows)
	writeParquet(t, filepath.Join(dir, "one.parquet"), rows, parquet.PageBufferSize(20000))
	writeParquet(t, filepath.Join(dir, "part-1.parquet"), rows[:third])
	writeParquet(t, filepath.Join(dir, "part-2.parquet"), rows[third:])
	writeParquet(t, filepath.Join(dir, "none.parquet"), rows[:0])

	rds := func(name string, from, to int) {
		ids := make([]int32, 0, to-from)
		for i := from; i < to; i++ {
			ids = append(ids, int32(i))
		}
		if err := rdata.WriteFile(filepath.Join(dir, name), rdata.DataFrame([]string{"id"}, []rdata.Value{&rdata.Integer{Values: ids}}), rdata.Gzip); err != nil {
			t.Fatal(err)
		}
	}
	rds("part-1.rds", 0, third)
	rds("part-2.rds", third, subjectRows)
	rds("none.rds", 0, 0)

	// The same files as partitions, whose columns come after those of the files.
	link := func(from, to string) {
		to = filepath.Join(dir, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(dir, from), to); err != nil {
			t.Fatal(err)
		}
	}
	for _, ext := range []string{".csv", ".ndjson", ".parquet", ".rds"} {
		first, last := "part-1"+ext, "part-2"+ext
		if ext == ".csv" {
			last = "part-3.csv"
		}
		link(first, "by/half=1/of=a/x"+ext)
		link(last, "by/half=2/of="+partition.Null+"/x"+ext)
		link("none"+ext, "nothing/half=1/x"+ext)
	}

	n, zero := int64(subjectRows), int64(0)
	return []subject{
		{"csv", dir, nil, subjectRows, 0, csvOf(CSV{Path: Paths{"one.csv"}}), csvOf(CSV{Path: Paths{"none.csv"}})},
		{"csv compressed", dir, nil, subjectRows, 0, csvOf(CSV{Path: Paths{"one.csv.gz"}}), csvOf(CSV{Path: Paths{"none.csv", "none.csv"}})},
		{"csv files", dir, nil, subjectRows, 0, csvOf(CSV{Path: Paths{"part-*.csv"}}), csvOf(CSV{Path: Paths{"none.csv"}})},
		{"csv encoded", dir, nil, subjectRows, 0, csvOf(CSV{Path: Paths{"one.csv"}, Encoding: "latin1"}), csvOf(CSV{Path: Paths{"none.csv"}, Encoding: "latin1"})},
		{"ndjson", dir, nil, subjectRows, 0, &NDJSON{Path: Paths{"part-*.ndjson"}}, &NDJSON{Path: Paths{"none.ndjson"}, Schema: configs.Pairs{{Name: "id", Value: "int64"}}}},
		{"parquet", dir, nil, subjectRows, 0, &Parquet{Path: Paths{"one.parquet"}}, &Parquet{Path: Paths{"none.parquet"}}},
		{"parquet files", dir, nil, subjectRows, 0, &Parquet{Path: Paths{"part-*.parquet"}}, &Parquet{Path: Paths{"none.parquet", "none.parquet"}}},
		{"rds", dir, nil, subjectRows, 0, &RDS{Path: Paths{"part-1.rds", "part-2.rds"}}, &RDS{Path: Paths{"none.rds"}}},
		{"csv partitions", dir, nil, subjectRows, 0, csvOf(CSV{Path: Paths{"by"}}), csvOf(CSV{Path: Paths{"nothing"}})},
		{"ndjson partitions", dir, nil, subjectRows, 0, &NDJSON{Path: Paths{"by/**/*.ndjson"}}, &NDJSON{Path: Paths{"nothing"}, Schema: configs.Pairs{{Name: "id", Value: "int64"}}}},
		{"parquet partitions", dir, nil, subjectRows, 0, &Parquet{Path: Paths{"by"}}, &Parquet{Path: Paths{"nothing"}}},
		{"rds partitions", dir, nil, subjectRows, 0, &RDS{Path: Paths{"by"}}, &RDS{Path: Paths{"nothing"}}},
		{"csv bad rows", dir, nil, subjectRows, inCSV, csvOf(CSV{Path: Paths{"bad.csv"}, OnError: "skip"}), csvOf(CSV{Path: Paths{"none.csv"}, OnError: "skip"})},
		{"ndjson bad rows", dir, nil, subjectRows, inJSON + 14, &NDJSON{Path: Paths{"worse.ndjson", "bad.ndjson", "worse.ndjson"}, OnError: "dead_letter"},
			&NDJSON{Path: Paths{"none.ndjson"}, OnError: "skip", Schema: configs.Pairs{{Name: "id", Value: "int64"}}}},
		{"range", dir, nil, subjectRows, 0, &Range{From: 0, Step: 1, Rows: &n, Column: "id"}, &Range{Step: 1, Rows: &zero}},
	}
}

func (s *subject) env(parallel int) *stages.Env {
	return &stages.Env{Dir: s.dir, S3: s.s3, Parallel: parallel, Stage: "source"}
}

func (s *subject) open(t *testing.T, source Source, parallel int, from string) Reader {
	t.Helper()
	r, err := source.Open(t.Context(), s.env(parallel), from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// readAll reads to the end, and checks what holds for every read.
func readAll(t *testing.T, r Reader) (reads []*Read) {
	t.Helper()
	for {
		read, err := r.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		_, moves := r.(Cursor)
		if n := read.Frame.NumRows(); n < 1 && len(read.Rejected) == 0 && !moves || n > frame.Rows {
			t.Fatalf("a read of %d rows", n)
		}
		if !read.Frame.Schema().Equal(r.Schema()) {
			t.Fatalf("a frame of schema\n%s, not\n%s", read.Frame.Schema(), r.Schema())
		}
		reads = append(reads, read)
	}
	if _, err := r.Next(t.Context()); err != io.EOF {
		t.Errorf("after the end: %v, want EOF again", err)
	}
	return reads
}

// first is the number in a row's first column.
func first(t *testing.T, f frame.Frame, row int) int {
	switch c := f.Column(0).(type) {
	case *array.Int32:
		return int(c.Value(row))
	case *array.Int64:
		return int(c.Value(row))
	}
	t.Fatalf("first column is %v", f.Column(0).DataType())
	return 0
}

func same(t *testing.T, what string, got, want []*Read) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d reads, want %d", what, len(got), len(want))
	}
	for i := range got {
		if d := frame.Diff(got[i].Frame, want[i].Frame); d != "" {
			t.Fatalf("%s: read %d: %s", what, i, d)
		}
		if got[i].Pos != want[i].Pos {
			t.Fatalf("%s: read %d ends at %s, want %s", what, i, got[i].Pos, want[i].Pos)
		}
		if got, want := told(got[i].Rejected), told(want[i].Rejected); !slices.Equal(got, want) {
			t.Fatalf("%s: read %d rejects other records: %s", what, i, cmp.Diff(want, got))
		}
	}
}

// told is what is said of rejected records.
func told(rejected []*stages.Rejected) (lines []string) {
	for _, r := range rejected {
		lines = append(lines, fmt.Sprintf("%d %s: %v", r.First, r.Raw, r.Err))
	}
	return lines
}

func TestConformance(t *testing.T) {
	conform(t, subjects(t))
}

func conform(t *testing.T, subjects []subject) {
	for _, s := range subjects {
		t.Run(s.name, func(t *testing.T) {
			want := readAll(t, s.open(t, s.full, 2, ""))

			t.Run("order", func(t *testing.T) {
				row := 0
				for _, read := range want {
					for i := range int(read.Frame.NumRows()) {
						if got := first(t, read.Frame, i); got != row {
							t.Fatalf("row %d holds %d", row, got)
						}
						row++
					}
				}
				bad, seen := 0, int64(-1)
				for _, read := range want {
					for _, r := range read.Rejected {
						if r.First <= seen {
							t.Fatalf("record %d was rejected after record %d", r.First, seen)
						}
						seen = r.First
						bad++
					}
				}
				if row != s.rows || bad != s.bad {
					t.Errorf("%d rows and %d rejected records, want %d and %d", row, bad, s.rows, s.bad)
				}
			})
			t.Run("parallel", func(t *testing.T) {
				for _, n := range []int{0, 1, 5} {
					same(t, fmt.Sprint(n, " goroutines"), readAll(t, s.open(t, s.full, n, "")), want)
				}
			})
			t.Run("size", func(t *testing.T) {
				r := s.open(t, s.full, 2, "")
				total := int64(0)
				for _, read := range want {
					total += read.Bytes
				}
				if size := r.Size(); total != size.Bytes || size.Rows != 0 && size.Rows != int64(s.rows) {
					t.Errorf("%d bytes were read of %+v", total, size)
				}
			})
			t.Run("identity", func(t *testing.T) {
				first := s.open(t, s.full, 2, "").(Identifier).Identity()
				again := s.open(t, s.full, 2, want[0].Pos).(Identifier).Identity()
				if d := cmp.Diff(first, again); d != "" || len(first) == 0 {
					t.Errorf("the input of a resume is called another one: %s", d)
				}
				for name, version := range first {
					if name == "" || version == "" {
						t.Errorf("%q is of version %q", name, version)
					}
				}
			})
			t.Run("resume", func(t *testing.T) {
				if tr := s.open(t, s.full, 2, "").Traits(); !tr.Ordered || !tr.Replayable {
					t.Fatalf("traits %+v", tr)
				}
				for i, read := range want {
					same(t, "after "+read.Pos, readAll(t, s.open(t, s.full, 2, read.Pos)), want[i+1:])
				}
				for _, pos := range []string{"x", `{"file":7}`, `{"rows":-1,"row":-1}`, `{"rows":1000000,"row":1000000}`} {
					r, err := s.full.Open(t.Context(), s.env(0), pos)
					if err == nil {
						_, err = r.Next(t.Context())
						r.Close()
					}
					if err == nil || err == io.EOF {
						t.Errorf("position %s: %v", pos, err)
					}
				}
			})
			t.Run("cancel", func(t *testing.T) {
				r := s.open(t, s.full, 2, "")
				gone, cancel := context.WithCancel(t.Context())
				cancel()
				if _, err := r.Next(gone); !errors.Is(err, context.Canceled) {
					t.Errorf("with a context that has ended: %v", err)
				}
				same(t, "after that", readAll(t, r), want)
				if r, err := s.full.Open(gone, s.env(0), ""); err == nil {
					r.Close() // Open may be done before it looks
				}
			})
			t.Run("close", func(t *testing.T) {
				before := goleak.IgnoreCurrent()
				for reads := range 3 {
					r := s.open(t, s.full, 2, "")
					for range reads {
						if _, err := r.Next(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
					if _, err := r.Next(t.Context()); err == nil || err == io.EOF {
						t.Errorf("after Close: %v", err)
					}
					if err := r.Close(); err != nil {
						t.Fatal("the second time:", err)
					}
					if s.s3 != nil {
						s.s3.Close() // connections that wait for their next use
					}
					goleak.VerifyNone(t, before)
				}
			})
			t.Run("empty", func(t *testing.T) {
				r := s.open(t, s.empty, 2, "")
				if r.Schema().NumFields() == 0 {
					t.Error("no schema")
				}
				if reads := readAll(t, r); len(reads) > 0 {
					t.Errorf("%d reads", len(reads))
				}
			})
		})
	}
}
