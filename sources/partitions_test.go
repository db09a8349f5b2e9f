package sources

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/frame/partition"
)

func TestPartitions(t *testing.T) {
	f := func(c CSV, want string, nameText ...string) {
		t.Helper()
		if c.Path == nil {
			c.Path = Paths{"in"}
		}
		if got := flatten(t, csvOf(c), files(t, nameText...)); got != strings.TrimLeft(want, "\n") {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	}
	months := []string{"in/month=1/a.csv", "x\n7\n8\n", "in/month=2/a.csv", "x\n9\n"}
	all := "\nx int32, month int32\n7|1\n8|1\n9|2\n"
	f(CSV{}, all, months...)
	f(CSV{Path: Paths{"in/month=*/*.csv"}}, all, months...)
	f(CSV{Path: Paths{"in/**/*.csv"}}, all, months...)
	f(CSV{Path: Paths{"./in/"}}, all, months...)
	f(CSV{Path: Paths{"**"}}, all, months...)

	// What is named, and not found, is no partition.
	f(CSV{Path: Paths{"in/month=1"}}, "\nx int32\n7\n8\n", months...)
	f(CSV{Path: Paths{"in/month=1/*.csv"}}, "\nx int32\n7\n8\n", months...)
	f(CSV{Path: Paths{"in/month=2/a.csv"}}, "\nx int32\n9\n", months...)
	f(CSV{Partitions: "off"}, "\nx int32\n7\n8\n9\n", months...)

	// Directories of other names stand between them.
	f(CSV{}, "\nx int32, y int32, s string\n1|2020|a\n2|2021|b\n",
		"in/y=2020/old/s=a/a.csv", "x\n1\n", "in/y=2021/s=b/b.csv", "x\n2\n")

	// A column in the files wins, and the others stay.
	f(CSV{}, "\nx int32, y int32, s string\n1|5|a\n", "in/y=2020/s=a/a.csv", "x,y\n1,5\n")
	f(CSV{}, "\nx int32, y int32\n1|5\n", "in/y=2020/a.csv", "x,y\n1,5\n")

	// Types are those that hold all values.
	types := func(typ, values string, dirs ...string) {
		t.Helper()
		var tree []string
		for _, d := range dirs {
			tree = append(tree, "in/v="+d+"/a.csv", "x\n1\n")
		}
		f(CSV{Columns: []string{"v"}}, "v "+typ+"\n"+strings.ReplaceAll(values, " ", "\n")+"\n", tree...)
	}
	null := partition.Null
	types("bool", "false true", "false", "true")
	types("int32", "10 9", "10", "9")
	types("int64", "1 3000000000", "1", "3000000000")
	types("double", "0.5 2", "0.5", "2")
	types("date", "2024-01-31 2024-02-29", "2024-01-31", "2024-02-29")
	types("timestamp[UTC]", "2024-03-10T07:30:00Z", "2024-03-10T07%3A30%3A00Z")
	types("string", "007 8", "007", "8")
	types("string", "1 2024-01-31 a", "1", "2024-01-31", "a")
	types("int32", "1 <NA>", "1", null)
	types("string", "<NA>", null)
	types("string", " a", "", "a") // an empty text is a value
	types("string", null, "%5F"+null[1:])
	types("string", "😀 50% a/b=c", "%F0%9F%98%80", "50%", "a%2Fb=c")

	// Names are escaped too, and may begin as hidden files do.
	f(CSV{}, "\nx int32, a/b string, _c int32, .d int32\n1|v|2|3\n", "in/a%2Fb=v/_c=2/.d=3/a.csv", "x\n1\n",
		"in/a%2Fb=v/_c=2/_d/no.csv", "", "in/a%2Fb=v/_e=2.csv", "")
}

// Columns that a directory names are chosen, ordered and typed like others.
func TestPartitionColumns(t *testing.T) {
	tree := func(name, text string) []string {
		return []string{"in/y=2020/m=01/" + name, text, "in/y=2021/m=02/" + name, text}
	}
	f := func(s Source, want string, nameText []string) {
		t.Helper()
		if got := flatten(t, s, files(t, nameText...)); got != strings.TrimLeft(want, "\n") {
			t.Errorf("got\n%s\nwant%s", got, want)
		}
	}
	csv := tree("a.csv", "x,z\n1,a\n2,b\n")
	in := Paths{"in"}
	f(csvOf(CSV{Path: in, Columns: []string{"m", "x"}}), "\nm string, x int32\n01|1\n01|2\n02|1\n02|2\n", csv)
	f(csvOf(CSV{Path: in, Columns: []string{"y"}}), "\ny int32\n2020\n2020\n2021\n2021\n", csv)
	f(csvOf(CSV{Path: in, Columns: []string{"z"}}), "\nz string\na\nb\na\nb\n", csv)
	f(csvOf(CSV{Path: in, Columns: []string{"y", "m"}, Types: map[string]string{"y": "factor", "x": "double"}}),
		"\ny factor, m string\n2020|01\n2020|01\n2021|02\n2021|02\n", csv)

	json := tree("a.ndjson", "{\"x\":1}\n{\"x\":2}\n")
	f(&NDJSON{Path: in}, "\nx int64, y int32, m string\n1|2020|01\n2|2020|01\n1|2021|02\n2|2021|02\n", json)
	f(&NDJSON{Path: in, Columns: []string{"m"}}, "\nm string\n01\n01\n02\n02\n", json)
	f(&NDJSON{Path: in, Columns: []string{"y", "x"}, Types: map[string]string{"y": "string"}}, "\ny string, x int64\n2020|1\n2020|2\n2021|1\n2021|2\n", json)
	schema := configs.Pairs{{Name: "y", Value: "string"}, {Name: "x", Value: "int32"}}
	f(&NDJSON{Path: in, Schema: schema}, "\ny string, x int32, m string\n2020|1|01\n2020|2|01\n2021|1|02\n2021|2|02\n", json)
	f(&NDJSON{Path: in, Schema: schema, Columns: []string{"x"}}, "\nx int32\n1\n2\n1\n2\n", json)
	// A key of the records wins, though a type is declared.
	own := tree("a.ndjson", "{\"y\":1}\n")
	f(&NDJSON{Path: in, Types: map[string]string{"y": "double"}}, "\ny double, m string\n1|01\n1|02\n", own)
	f(&NDJSON{Path: in, Schema: schema}, "\ny string, x int32, m string\n1|<NA>|01\n1|<NA>|02\n", own)
}

func TestPartitionsOfParquetAndRDS(t *testing.T) {
	s := &subject{dir: subjectDir(t)}
	f := func(source Source, fields string) {
		t.Helper()
		r := s.open(t, source, 2, "")
		var b strings.Builder
		writeSchema(&b, r.Schema())
		if b.String() != fields+"\n" {
			t.Errorf("columns %s, want %s", b.String(), fields)
		}
		rows, nulls, halves := 0, 0, int32(0)
		for _, read := range readAll(t, r) {
			rows += int(read.Frame.NumRows())
			if of, _, ok := frame.Lookup(read.Frame, "of"); ok {
				nulls += of.NullN()
			}
			if half, _, ok := frame.Lookup(read.Frame, "half"); ok {
				for _, v := range half.(*array.Int32).Int32Values() {
					halves += v
				}
			}
		}
		third := subjectRows / 3
		if rows != subjectRows || strings.Contains(fields, "of") && nulls != subjectRows-third ||
			strings.Contains(fields, "half") && int(halves) != third+2*(subjectRows-third) {
			t.Errorf("%s: %d rows, %d without of, sum of half %d", fields, rows, nulls, halves)
		}
	}
	by := Paths{"by"}
	f(&Parquet{Path: by, Columns: []string{"half", "of"}}, "half int32, of string")
	f(&Parquet{Path: by, Columns: []string{"of", "id", "half"}}, "of string, id int64, half int32")
	f(&Parquet{Path: by, Columns: []string{"id"}}, "id int64")
	f(&RDS{Path: by}, "id int32, half int32, of string")
	f(&RDS{Path: by, Columns: []string{"half"}}, "half int32")
	f(&RDS{Path: by, Columns: []string{"half", "id"}}, "half int32, id int32")
	f(&RDS{Path: by, Partitions: "off"}, "id int32")

	head, err := Head(t.Context(), filepath.Join(s.dir, "by", "half=1", "of=a", "x.parquet"), 3)
	if err != nil || head.NumRows() != 3 || head.Schema().HasField("half") {
		t.Errorf("head: %v, %v", head, err)
	}
}

// subjectDir is the directory of the conformance tests.
func subjectDir(t *testing.T) string { return subjects(t)[0].dir }

// Where files are in different directories there are no columns of them, and
// the log says why.
func TestPartitionsDiffer(t *testing.T) {
	f := func(mode, want string, nameText ...string) {
		t.Helper()
		env := files(t, nameText...)
		var log bytes.Buffer
		env.Log = slog.New(slog.NewTextHandler(&log, nil))
		if got := flatten(t, csvOf(CSV{Path: Paths{"in"}, Partitions: mode}), env); got != "x int32\n1\n2\n" {
			t.Errorf("got %s", got)
		}
		if got := log.String(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("log %q, want %s", got, want)
		}
	}
	f("auto", `file=in/a.csv other="in/y=1/b.csv"`, "in/a.csv", "x\n1\n", "in/y=1/b.csv", "x\n2\n")
	f("auto", `file="in/y=1/a.csv" other="in/y=1/z=1/b.csv"`, "in/y=1/a.csv", "x\n1\n", "in/y=1/z=1/b.csv", "x\n2\n")
	f("auto", "in/z=1/b.csv", "in/y=1/a.csv", "x\n1\n", "in/z=1/b.csv", "x\n2\n")
	f("off", "", "in/a.csv", "x\n1\n", "in/y=1/b.csv", "x\n2\n")
	f("auto", "", "in/1/a.csv", "x\n1\n", "in/2/3/b.csv", "x\n2\n")
	f("auto", "", "in/y=1/y=2/a.csv", "x\n1\n", "in/y=2/y=1/b.csv", "x\n2\n") // which of them?
}

// The manifest that a sink of ours leaves says what the types were.
func TestPartitionTypesOfManifest(t *testing.T) {
	manifest := func(typ string, values ...string) string {
		if values == nil {
			values = []string{"01", "2"}
		}
		var files []string
		for _, v := range values {
			files = append(files, `{"path":"v=`+v+`/a.csv"}`)
		}
		return `{"version":1,"format":"csv","schema":[{"name":"x","type":"string"},{"name":"v","type":"` + typ + `"}],"files":[` + strings.Join(files, ",") + `]}`
	}
	f := func(c CSV, want string, nameText ...string) {
		t.Helper()
		if c.Path == nil {
			c.Path = Paths{"in"}
		}
		if got := flatten(t, csvOf(c), files(t, append(nameText, "in/v=01/a.csv", "x\n1\n", "in/v=2/a.csv", "x\n2\n")...)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	text, number := "x int32, v string\n1|01\n2|2\n", "x int32, v int32\n5|7\n"
	f(CSV{}, text)
	f(CSV{}, "x int32, v factor\n1|01\n2|2\n", "in/_manifest.json", manifest("factor"))
	f(CSV{}, "x int32, v factor\n1|01\n2|2\n", "in/_manifest.json", manifest("ordered")) // levels have no order
	f(CSV{Types: map[string]string{"v": "string"}}, text, "in/_manifest.json", manifest("factor"))
	f(CSV{}, text, "in/_manifest.json", `{"version":2,"schema":[{"name":"v","type":"factor"}]}`)
	f(CSV{}, text, "in/_manifest.json", `{"version":1,"schema":[{"name":"v","type":"frob"}]}`)
	f(CSV{}, text, "in/_manifest.json", `[`)
	// Two directories agree, or their values decide.
	two := Paths{"in", "more"}
	f(CSV{Path: two}, "x int32, v factor\n1|01\n2|2\n5|7\n", "in/_manifest.json", manifest("factor"), "more/_manifest.json", manifest("factor", "7"), "more/v=7/a.csv", "x\n5\n")
	f(CSV{Path: two}, "x int32, v string\n1|01\n2|2\n5|7\n", "in/_manifest.json", manifest("factor"), "more/_manifest.json", manifest("double", "7"), "more/v=7/a.csv", "x\n5\n")
	f(CSV{Path: Paths{"more"}}, number, "in/_manifest.json", manifest("factor"), "more/v=7/a.csv", "x\n5\n")

	bad := func(c CSV, want string, nameText ...string) {
		t.Helper()
		c.Path = Paths{"in"}
		_, err := rowsOf(t, csvOf(c), files(t, nameText...))
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	bad(CSV{}, `csv: in/v=a/a.csv: its directory says that v is "a", which is not an int32 (as _manifest.json says); partitions: off reads the files alone`,
		"in/_manifest.json", manifest("int32", "a"), "in/v=a/a.csv", "x\n1\n")
	bad(CSV{Types: map[string]string{"v": "date"}}, `csv: in/v=a/a.csv: its directory says that v is "a", which is not a date (as types or schema say); partitions: off reads the files alone`,
		"in/v=a/a.csv", "x\n1\n")
	bad(CSV{}, `csv: in/v=%FF/a.csv: its directory says that v is "\xff", which is not a string (the text is not UTF-8); partitions: off reads the files alone`,
		"in/v=%FF/a.csv", "x\n1\n")
	bad(CSV{Columns: []string{"w"}}, `csv: columns: no column "w" in in/v=1/a.csv; there are x, v`, "in/v=1/a.csv", "x\n1\n")
	bad(CSV{Types: map[string]string{"w": "date"}}, `csv: types: no column "w" in in/v=1/a.csv; there are x`, "in/v=1/a.csv", "x\n1\n")
}

// The columns of directories are made once a file, and shared by its frames.
func TestPartitionColumnsAreShared(t *testing.T) {
	env := files(t, "in/s=text/a.csv", numbers(30_000))
	r, err := csvOf(CSV{Path: Paths{"in"}}).Open(t.Context(), env, "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var made *memory.Buffer
	reads := readAll(t, r)
	for i, read := range reads {
		values, _, _ := frame.Lookup(read.Frame, "s")
		if values.Len() != int(read.Frame.NumRows()) || values.ValueStr(values.Len()-1) != "text" {
			t.Errorf("read %d has %v", i, values)
		}
		buffer := values.Data().Buffers()[2]
		if i > 0 && buffer != made {
			t.Errorf("read %d has a copy of its own", i)
		}
		made = buffer
	}
	if len(reads) < 3 {
		t.Errorf("%d reads", len(reads))
	}
}
