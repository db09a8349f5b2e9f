package tables

import (
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/internal/s3test"
	"github.com/rpipe-dev/rpipe/sinks"
	"github.com/rpipe-dev/rpipe/stages"
	"github.com/rpipe-dev/rpipe/store"
)

var zones = table(schema("id int32", "zone string", "area double"), "1 north 1.5", "2 NA 2", "3 south NA")

// zoneLines are the rows of zones.
var zoneLines = []string{"1 north 1.5", "2 NA 2", "3 south NA"}

// save writes a frame in the format that the name tells.
func save(t testing.TB, dir, name string, f frame.Frame) {
	t.Helper()
	var sink sinks.Sink
	switch {
	case strings.HasSuffix(name, ".parquet"):
		sink = &sinks.Parquet{}
		configs.SetDefaults(sink)
		sink.(*sinks.Parquet).Path = name
	case strings.HasSuffix(name, ".rds"):
		sink = &sinks.RDS{}
		configs.SetDefaults(sink)
		sink.(*sinks.RDS).Path = name
	default:
		text := csvText(f, ",")
		if strings.Contains(name, "json") {
			text = jsonText(f)
		} else if strings.Contains(name, ".tsv") {
			text = csvText(f, "\t")
		}
		if strings.HasSuffix(name, ".gz") {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			z.Write([]byte(text))
			z.Close()
			text = b.String()
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	env := (&stages.Env{Run: "run-1", Pipeline: "test", Dir: dir, Parallel: 1}).For("sink")
	defer env.Close()
	w, err := sink.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), &stages.Rows{Value: f, Rows: int(f.NumRows())}); err != nil {
		t.Fatal(err)
	}
	parts, err := w.Prepare(t.Context(), 0)
	if err == nil {
		err = w.Publish(t.Context(), parts)
	}
	if err == nil {
		err = w.Finish(t.Context(), true)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func csvText(f frame.Frame, comma string) string {
	text := strings.Join(frameNames(f), comma) + "\n"
	for _, l := range lines(f) {
		text += strings.ReplaceAll(l, " ", comma) + "\n"
	}
	return text
}

func jsonText(f frame.Frame) string {
	text := ""
	for _, l := range lines(f) {
		var members []string
		for k, word := range strings.Fields(l) {
			if word == "NA" {
				word = "null"
			} else if frame.KindOf(f.Schema().Field(k)) == frame.KindString {
				word = `"` + word + `"`
			}
			members = append(members, `"`+f.ColumnName(k)+`":`+word)
		}
		text += "{" + strings.Join(members, ",") + "}\n"
	}
	return text
}

func frameNames(f frame.Frame) []string { return names(f.Schema().Fields()) }

// decoded is a stage as a file has it.
func decoded[T any](t testing.TB, text string) (*T, configs.Problems) {
	t.Helper()
	c := new(T)
	_, problems := configs.Load("p.yaml", []byte(text), configs.Variables{}, c)
	return c, problems
}

// looked is what a join by id gives for the ids 1, 2, 3 and 9.
func looked(t testing.TB, env *stages.Env, dataset string) ([]string, error) {
	t.Helper()
	c, problems := decoded[Join](t, "on: id\ndataset: "+dataset+"\n")
	if problems.Err() != nil {
		return nil, problems
	}
	ids := table(schema("id int32"), "1", "2", "3", "9")
	planned, err := c.PlanWith(t.Context(), env, ids.Schema())
	if err != nil {
		return nil, err
	}
	got, err := passed(t, env, c, ids)
	if err != nil {
		return nil, err
	}
	f := whole(t, got)
	if !f.Schema().Equal(planned) {
		t.Errorf("%s: got %v, planned %v", dataset, f.Schema(), planned)
	}
	return lines(f), nil
}

var formatsOfZones = []string{"z.csv", "z.csv.gz", "z.tsv", "z.ndjson", "z.jsonl.gz", "z.parquet", "z.rds", "many/a.csv", "rest/x=1/a.parquet"}

func TestDatasetInEveryFormat(t *testing.T) {
	dir := t.TempDir()
	for _, name := range formatsOfZones {
		save(t, dir, name, zones)
	}
	f := func(dataset string) {
		t.Helper()
		got, err := looked(t, testEnv(t, dir), dataset)
		if err != nil {
			t.Fatalf("%s: %v", dataset, err)
		}
		want := append(append([]string{}, zoneLines...), "9 NA NA")
		if strings.Contains(dataset, "rest") {
			for i := range want[:3] {
				want[i] += " 1"
			}
			want[3] += " NA"
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", dataset, d)
		}
	}
	for _, name := range formatsOfZones[:7] {
		f(name)
	}
	f("many")
	f("many/")
	f("many/*.csv")
	f("rest")
	f("[many/a.csv]")
	f("{path: z.parquet}")
	f(`{csv: {path: z.tsv, delimiter: tab}}`)
	f(`{parquet: {path: z.parquet}}`)
	f(`{rows: [{id: 1, zone: north, area: 1.5}, {id: 2, area: 2}, {id: 3, zone: south}]}`)
	f(filepath.Join(dir, "z.csv"))
}

func TestDatasetInS3(t *testing.T) {
	dir := t.TempDir()
	server := s3test.Start(t)
	client, bucket := server.Client(t), server.Bucket(t)
	for _, name := range formatsOfZones {
		save(t, dir, name, zones)
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Put(t.Context(), store.Location{Bucket: bucket, Key: name}, data, store.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	f := func(name string) {
		t.Helper()
		env := testEnv(t, dir)
		env.S3 = client
		got, err := looked(t, env, "s3://"+bucket+"/"+name)
		if d := cmp.Diff(append(append([]string{}, zoneLines...), "9 NA NA"), got); d != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, d)
		}
	}
	for _, name := range formatsOfZones[:7] {
		f(name)
	}
	f("many/")
	f("many/*.csv")

	env := testEnv(t, dir)
	if _, err := looked(t, env, "s3://"+bucket+"/many/"); err == nil || !strings.Contains(err.Error(), "S3") {
		t.Error(err)
	}
}

func TestDatasetThatIsNone(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mixed/a.csv", "mixed/b.ndjson", "mixed/_c.rds", "none/readme.txt", "z.csv"} {
		save(t, dir, name, zones)
	}
	f := func(dataset string, want ...string) {
		t.Helper()
		_, err := looked(t, testEnv(t, dir), dataset)
		if err == nil {
			t.Fatalf("%s: no error", dataset)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v\nwant %s", dataset, err, w)
			}
		}
	}
	f("y.csv", "read y.csv: no such file", "z.csv")
	f("z.dat", "the format of z.dat cannot be told by its name", "{csv: {path: z.dat}}")
	f("[z.csv, z.rds]", "z.csv and z.rds are not of one format")
	f(`"-"`, "standard input")
	f(`{csv: {path: "-"}}`, "standard input")
	f("mixed", "mixed has files of several formats, such as a.csv and b.ndjson")
	f("none", "none: there is no file whose name ends in one of .parquet, .csv")
	f("nowhere", "read nowhere: no such file")
	f("{csv: {path: z.csv, on_error: dead_letter}}", "records of a dataset have none")
	f("{http: {url: 'http://127.0.0.1:1/', poll: 1s}}", "http: has no end, and a dataset is read whole before the first row")
	f("{path: z.csv, rows: [{id: 1}]}", "names both path and rows")
	f("{}", "names none of path, csv")
}

// All joins of a run that name one dataset have one table of it, with the columns
// of each.
func TestDatasetIsLoadedOncePerRun(t *testing.T) {
	count := 0
	d := from(zones)
	d.Use.(*given).opened = &count
	env := testEnv(t, "")
	one := &Join{Dataset: d, On: configs.Pairs{{Name: "id", Value: "id"}}, How: "left", Columns: []string{"zone"}}
	two := &Join{Dataset: d, On: configs.Pairs{{Name: "id", Value: "id"}}, How: "left", Columns: []string{"area"}}
	a, err := one.Build(env)
	if err != nil {
		t.Fatal(err)
	}
	b, err := two.Build(env.For("second"))
	if err != nil {
		t.Fatal(err)
	}
	run := stages.NewRun(t.Context())
	edge := stages.From(run, "source", 1, func(_, hard context.Context, out chan<- *stages.Rows) error {
		return stages.Send(hard, out, &stages.Rows{Value: table(schema("id int32"), "3", "1"), Rows: 2})
	})
	edge = stages.Then(run, "first", 1, edge, a)
	edge = stages.Then(run, "second", 1, edge, b)
	var got []string
	stages.To(run, "sink", edge, func(ctx context.Context, in <-chan *stages.Rows) error {
		for {
			b, ok, err := stages.Receive(ctx, in)
			if !ok || err != nil {
				return err
			}
			got = append(got, lines(b.Value)...)
		}
	})
	if err := run.Wait(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"3 south NA", "1 north 1.5"}, got); d != "" || count != 1 {
		t.Errorf("opened %d times; %s", count, d)
	}
	id, err := one.Identity(t.Context(), env)
	if d := cmp.Diff(map[string]string{"given": "1"}, id); d != "" || err != nil || count != 1 {
		t.Errorf("opened %d times, %v; %s", count, err, d)
	}
}
