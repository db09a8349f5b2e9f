package sinks

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

func TestPartitionNames(t *testing.T) {
	f := func(field arrow.Field, add func(c *frame.Column), want string) {
		t.Helper()
		b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{field, typed("rest", arrow.PrimitiveTypes.Int32)}, nil))
		add(b.Column(0))
		b.Column(1).AppendInt32(1)
		fr := must(b.Frame())(t)
		p := must(newPartitioner([]string{field.Name}, fr.Schema()))(t)
		pieces := must(p.split(fr))(t)
		if len(pieces) != 1 || pieces[0].dir != want {
			t.Errorf("got %v, want %s", pieces, want)
		}
		if fr := pieces[0].frame; fr.NumCols() != 1 || fr.ColumnName(0) != "rest" {
			t.Errorf("the file has %v", fr.Schema())
		}
	}
	text := func(v string) func(*frame.Column) { return func(c *frame.Column) { c.AppendString(v) } }
	str := typed("c", arrow.BinaryTypes.String)
	f(str, text("plain"), "c=plain")
	f(str, text("a b"), "c=a b")
	f(str, text("../../etc"), "c=..%2F..%2Fetc")
	f(str, text("50%=x:y?"), "c=50%25%3Dx%3Ay%3F")
	f(str, text("line\nbreak"), "c=line%0Abreak")
	f(str, text("Zürich"), "c=Zürich")
	f(str, text(""), "c=")
	f(str, func(c *frame.Column) { c.AppendNull() }, "c=__HIVE_DEFAULT_PARTITION__")
	f(str, text("__HIVE_DEFAULT_PARTITION__"), "c=%5F_HIVE_DEFAULT_PARTITION__")
	f(typed("a=b", arrow.BinaryTypes.String), text("x"), "a%3Db=x")
	f(typed("c", frame.FactorType(false)), text("level/1"), "c=level%2F1")
	f(typed("c", arrow.PrimitiveTypes.Int32), func(c *frame.Column) { c.AppendInt32(-5) }, "c=-5")
	f(typed("c", arrow.PrimitiveTypes.Float64), func(c *frame.Column) { c.AppendDouble(12) }, "c=12") // R's month is a double
	f(typed("c", arrow.FixedWidthTypes.Boolean), func(c *frame.Column) { c.AppendBool(true) }, "c=true")
	f(typed("c", arrow.FixedWidthTypes.Date32), func(c *frame.Column) { c.AppendInt32(19792) }, "c=2024-03-10")
	f(typed("c", &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}), func(c *frame.Column) { c.AppendInt64(zoned) }, "c=2024-03-10T07%3A30%3A00.123456Z")
}

func TestPartitionColumnsThatCannotBe(t *testing.T) {
	f := func(by []string, want string) {
		t.Helper()
		_, err := newPartitioner(by, allTypes(t).Schema())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", by, err)
		}
	}
	f([]string{"nope"}, `column "nope", which the rows do not have; they have zz_bool, int32`)
	f([]string{"numbers"}, "of type list<double>")
	f([]string{"raw"}, "of type binary")
	_, err := newPartitioner([]string{"x"}, arrow.NewSchema([]arrow.Field{typed("x", arrow.PrimitiveTypes.Int32)}, nil))
	if err == nil || !strings.Contains(err.Error(), "every column") {
		t.Error(err)
	}
}

// A zero byte in a value does not run two partitions together.
func TestPartitionsWithZeroBytes(t *testing.T) {
	b := frame.NewBuilder(arrow.NewSchema([]arrow.Field{
		typed("a", arrow.BinaryTypes.String), typed("b", arrow.BinaryTypes.String), typed("rest", arrow.PrimitiveTypes.Int32),
	}, nil))
	for i, pair := range [][2]string{{"x\x00y", "z"}, {"x", "y\x00z"}} {
		b.Column(0).AppendString(pair[0])
		b.Column(1).AppendString(pair[1])
		b.Column(2).AppendInt32(int32(i))
	}
	f := must(b.Frame())(t)
	p := must(newPartitioner([]string{"a", "b"}, f.Schema()))(t)
	var dirs []string
	for _, piece := range must(p.split(f))(t) {
		dirs = append(dirs, piece.dir)
	}
	if d := cmp.Diff([]string{"a=x%00y/b=z", "a=x/b=y%00z"}, dirs); d != "" {
		t.Error(d)
	}
}

// With more partitions than may be open, files and memory stay bounded and no
// row is lost.
func TestManyPartitions(t *testing.T) {
	eachSink(t, func(t *testing.T, ext string, sink func(string, Files) Sink) {
		const partitions, batches, each = 60, 10, 3000
		env := testEnv(t, "run-1")
		env.Memory = 256 << 10
		w := open(t, limitOpen(sink("out", Files{PartitionBy: []string{"p"}}), 5), env)
		onDisk(w).create = createUnsynced
		s := arrow.NewSchema([]arrow.Field{typed("p", arrow.PrimitiveTypes.Int32), typed("id", arrow.PrimitiveTypes.Int64)}, nil)
		for k := range batches {
			b := frame.NewBuilder(s)
			for i := range each {
				b.Column(0).AppendInt32(int32(i % partitions))
				b.Column(1).AppendInt64(int64(k*each + i))
			}
			if err := w.Write(t.Context(), &stages.Rows{Value: must(b.Frame())(t), Rows: each}); err != nil {
				t.Fatal(err)
			}
			set := w.(*fileWriter).parts
			if set.waiting > env.Memory || set.open > 5 {
				t.Fatalf("%d bytes wait and %d files are open", set.waiting, set.open)
			}
		}
		parts := must(w.Prepare(t.Context(), 0))(t)
		total, seen := int64(0), map[string]int64{}
		for _, p := range parts {
			total += p.Rows
			seen[p.Partition["p"]] += p.Rows
		}
		if total != batches*each || len(seen) != partitions || seen["7"] != batches*each/partitions {
			t.Errorf("%d rows in %d partitions, %d in one", total, len(seen), seen["7"])
		}
		if len(parts) > 4*partitions {
			t.Errorf("%d files for %d partitions", len(parts), partitions)
		}
	})
}

func limitOpen(s Sink, n int) Sink {
	switch s := s.(type) {
	case *Parquet:
		s.MaxOpen = n
	case *CSV:
		s.MaxOpen = n
	case *NDJSON:
		s.MaxOpen = n
	case *RDS:
		s.MaxOpen = n
	}
	return s
}

func TestPartitionsKeepTheirOrder(t *testing.T) {
	env := testEnv(t, "run-1")
	parts := commit(t, &NDJSON{Path: "out", Files: Files{PartitionBy: []string{"part"}, RowsPerFile: 40}}, env, rows(0, 0, 100), rows(0, 100, 100))
	last := map[string]float64{}
	for _, p := range parts {
		for _, line := range strings.Split(strings.TrimSpace(string(must(os.ReadFile(filepath.Join(env.Dir, "out", p.Path)))(t))), "\n") {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			id := row["id"].(float64)
			if _, ok := row["part"]; ok {
				t.Fatal("the partition column is in the file")
			}
			if before, ok := last[p.Path[:6]]; ok && id != before+3 {
				t.Fatalf("%v after %v", id, before)
			}
			last[p.Path[:6]] = id
		}
	}
	if d := cmp.Diff(map[string]float64{"part=x": 198, "part=y": 199, "part=\xc3": 197}, last); d != "" {
		t.Error(d, fmt.Sprint(paths(parts)))
	}
}
