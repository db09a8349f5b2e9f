//go:build cgo

package tables

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// answered runs a sql stage of a file over trips, in a directory with z.csv.
func answered(t testing.TB, settings string) ([]string, error) {
	t.Helper()
	c, problems := decoded[SQL](t, settings)
	if problems.Err() != nil {
		return nil, problems
	}
	dir := t.TempDir()
	save(t, dir, "z.csv", zones)
	save(t, dir, "n.ndjson", table(schema("id int32", "note string"), "2 two", "3 three", "NA none"))
	env := testEnv(t, dir)
	planned, err := c.PlanWith(t.Context(), env, trips.Schema())
	if err != nil {
		return nil, err
	}
	got, err := passed(t, env, c, trips, frame.Slice(trips, 0, 1))
	if err != nil {
		return nil, err
	}
	for _, b := range got {
		if b.Epoch != stages.FinalEpoch {
			t.Errorf("a result of epoch %d", b.Epoch)
		}
	}
	f := whole(t, got)
	if !planned.Equal(f.Schema()) {
		t.Errorf("planned %v, got %v", planned, f.Schema())
	}
	return append([]string{strings.Join(frameNames(f), " ")}, lines(f)...), nil
}

func TestSQLAnswers(t *testing.T) {
	f := func(settings string, want ...string) {
		t.Helper()
		got, err := answered(t, settings)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v %s", settings, err, d)
		}
	}
	const datasets = "datasets: {z: z.csv, n: {ndjson: {path: n.ndjson}}}"
	f("{query: SELECT count(*) AS n FROM input}", "n", "4")
	f("{query: SELECT sum(id) AS s FROM input WHERE false}", "s", "NA")
	f("{query: 'SELECT id FROM input WHERE false'}", "id")
	f("{query: 'FROM input SELECT DISTINCT id ORDER BY id DESC ; '}", "id", "7", "2", "1")
	f("{query: 'SELECT id, z.zone, note FROM input LEFT JOIN z USING (id) LEFT JOIN n USING (id) ORDER BY id', "+datasets+"}",
		"id zone note", "1 north NA", "1 north NA", "2 NA two", "7 NA NA")
	// NULL matches nothing, and NOT IN a list with NULL is never true.
	f("{query: 'SELECT i.id FROM input AS i JOIN z ON i.zone = z.zone', "+datasets+"}", "id")
	f("{query: 'SELECT id FROM input WHERE id NOT IN (SELECT id FROM n)', "+datasets+"}", "id")
	// A dataset and the stream, each read more than once.
	f("{query: 'SELECT count(*) AS n FROM z AS a, z AS b, input AS c, input AS d', "+datasets+"}", "n", "144")
	f("query: SELECT max(\"at\") AS \"at\", min(\"at\") AS first FROM input", "at first", "2024-01-01T11:00:00+01:00 2024-01-01T10:00:00Z")
	f("{query: \"-- a comment\\nSELECT 1 AS one -- and another\"}", "one", "1")
}

func TestSQLThatCannotBeAnswered(t *testing.T) {
	f := func(settings, want string) {
		t.Helper()
		_, err := answered(t, settings)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", settings, err, want)
		}
	}
	f("{query: \"SELECT id,\\n  nosuch FROM input\"}", `line 2, column 3: there is no column "nosuch"`)
	f("{query: SELECT * FROM elsewhere}", "column 15: ")
	f("{query: DELETE FROM input}", "syntax error")
	f("{query: 'SELECT 1; SELECT 2'}", "syntax error")
	f("{query: SELECT * FROM 'z.csv'}", "z.csv")
	f("{query: FROM input, datasets: {Input: z.csv}}", "datasets.Input: is the name of the stream")
	f("{query: 'FROM a, A', datasets: {a: z.csv, A: n.ndjson}}", "datasets.a: differs from A only in case")
	f("{query: FROM z, datasets: {z: y.csv}}", "dataset z: csv: read y.csv: no such file")
	f("{query: 'SELECT CAST(zone AS INTEGER) AS x FROM input'}", "column 8: could not convert string 'x'")
	f("{}", "query: is required")
}

func TestSQLShorthandAndUnusedDatasets(t *testing.T) {
	type file struct {
		SQL SQL `yaml:"sql"`
	}
	c, problems := decoded[file](t, "sql: SELECT 1 AS x FROM input\n")
	if len(problems) > 0 || c.SQL.Query != "SELECT 1 AS x FROM input" || !c.SQL.Blocks() {
		t.Errorf("%v, %+v", problems, c)
	}
	_, problems = decoded[file](t, "sql: {query: FROM input, datasets: {zones: z.csv}}\n")
	if problems.Err() != nil || !strings.Contains(problems.Error(), "sql.datasets.zones: the query does not name it") {
		t.Error(problems)
	}
}

// Where the columns are not known, the syntax is.
func TestSQLOfUnknownColumns(t *testing.T) {
	plan := func(query string) error {
		s, err := (&SQL{Query: query}).Plan(nil)
		if s != nil {
			t.Errorf("%s: %v", query, s)
		}
		return err
	}
	if err := plan("SELECT whatever FROM input;"); err != nil {
		t.Error(err)
	}
	var at *stages.SQLError
	if err := plan("SELECT 1 + FROM input"); !errors.As(err, &at) || at.Line != 1 || at.Column != 12 {
		t.Errorf("%#v", err)
	}
	got, err := passed(t, testEnv(t, ""), &SQL{Query: "FROM input"})
	if len(got) != 0 || err != nil {
		t.Errorf("%d batches, %v", len(got), err)
	}
}

// The columns of an API are known when the first answer has come.
func TestSQLOfLateColumns(t *testing.T) {
	d := from(zones)
	d.Use.(*given).late = true
	c := &SQL{Query: "SELECT area FROM input JOIN z USING (id) ORDER BY area", Datasets: map[string]*Dataset{"z": &d}}
	if s, err := c.PlanWith(t.Context(), testEnv(t, ""), trips.Schema()); s != nil || err != nil {
		t.Errorf("planned %v, %v", s, err)
	}
	got, err := passed(t, testEnv(t, ""), c, trips)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"1.5", "2"}, lines(whole(t, got))); d != "" {
		t.Error(d)
	}
}

// The same dataset may be a join's table as well and be named by two queries.
func TestSQLAndJoinShareADataset(t *testing.T) {
	dir := t.TempDir()
	save(t, dir, "z.csv", zones)
	env := testEnv(t, dir)
	z := Dataset{Path: []string{"z.csv"}}
	f := func(tr stages.Transform, want ...string) {
		t.Helper()
		got, err := passed(t, env, tr, trips)
		if err != nil {
			t.Fatal(err)
		}
		text := lines(whole(t, got))
		slices.Sort(text)
		if d := cmp.Diff(want, text); d != "" {
			t.Error(d)
		}
	}
	query := &SQL{Query: "SELECT z.area FROM input JOIN z USING (id)", Datasets: map[string]*Dataset{"z": &z}}
	f(query, "1.5", "2")
	f(&Join{Dataset: z, On: configs.Pairs{{Name: "id", Value: "id"}}, How: "semi"}, "1 2024-01-01T11:00:00+01:00 x", "2 NA y")
	f(query, "1.5", "2")
	id, err := query.Identity(t.Context(), env)
	if err != nil || len(id) != 1 {
		t.Errorf("%v, %v", id, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "z.csv"), []byte("id,area\n1,2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	again, err := query.Identity(t.Context(), testEnv(t, dir))
	if err != nil || cmp.Equal(id, again) {
		t.Errorf("a file that changed is the same: %v, %v", again, err)
	}
}

// Far more rows than memory pass through a dataset and a sort.
func TestSQLGoesToTheDisk(t *testing.T) {
	b := frame.NewBuilder(schema("id int64", "text string"))
	for i := range 5000 {
		b.Column(0).AppendInt64(int64(i))
		b.Column(1).AppendString(strings.Repeat("x", 250) + string(rune('a'+i%26)))
	}
	part, err := b.Frame()
	if err != nil {
		t.Fatal(err)
	}
	d := from(part)
	g := d.Use.(*given)
	g.frames = slices.Repeat([]frame.Frame{part}, 100) // 125 MB, and SQL has 64 MiB
	env := testEnv(t, "")
	c := &SQL{Query: "SELECT d.id, d.text FROM d SEMI JOIN input USING (id) ORDER BY d.text, d.id", Datasets: map[string]*Dataset{"d": &d}}
	got, err := passed(t, env, c, part)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, b := range got {
		rows += b.Rows
	}
	if rows != 100*5000 {
		t.Errorf("%d rows", rows)
	}
}
