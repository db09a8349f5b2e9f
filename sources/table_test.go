package sources

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
)

// spec is a place in a pipeline file where a source stands.
type spec struct {
	Use Source `yaml:",component"`
}

func (spec) Components() configs.Table { return Table }

func TestTable(t *testing.T) {
	for _, c := range Table {
		if _, ok := c.New().(Source); !ok {
			t.Errorf("%s is not a Source", c.Name)
		}
		if !strings.HasSuffix(c.Doc, ".") {
			t.Errorf("%s: %q is not a sentence", c.Name, c.Doc)
		}
	}
	for _, problem := range configs.Audit(new(spec)) {
		t.Error(problem)
	}
}

func TestDecode(t *testing.T) {
	f := func(yaml string, want Source) {
		t.Helper()
		var got spec
		if _, problems := configs.Load("p.yaml", []byte(yaml), configs.Variables{}, &got); len(problems) > 0 {
			t.Fatalf("%s: %v", yaml, problems)
		}
		if d := cmp.Diff(want, got.Use); d != "" {
			t.Errorf("%s:\n%s", yaml, d)
		}
	}
	n := int64(5)
	f("csv: {path: a.csv}", &CSV{Path: Paths{"a.csv"}, Partitions: "auto", Manifest: "auto", Header: true, InferRows: 10240, Delimiter: ",", Quote: `"`, Decimal: ".",
		NA: []string{"", "NA"}, Encoding: "utf-8", Ragged: "error", OnError: "stop", MaxRecord: 16 << 20})
	f("parquet: {path: [a, b], columns: [x]}", &Parquet{Path: Paths{"a", "b"}, Partitions: "auto", Manifest: "auto", Columns: []string{"x"}})
	f("range: {rows: 5}", &Range{From: 1, Step: 1, Rows: &n, Column: "i"})
	f("rows: [{a: 1}]", &Rows{Rows: []any{configs.Object{{Key: "a", Value: int64(1)}}}})
	f("ndjson: {path: a, schema: {b: int64, a: string}}", &NDJSON{Path: Paths{"a"}, Partitions: "auto", Manifest: "auto", UnknownKeys: "error", InferRows: 10240, OnError: "stop", MaxRecord: 16 << 20,
		Schema: configs.Pairs{{Name: "b", Value: "int64", Position: configs.Position{Line: 1, Column: 31}}, {Name: "a", Value: "string", Position: configs.Position{Line: 1, Column: 41}}}})
}

func TestCheck(t *testing.T) {
	f := func(yaml string, want ...string) {
		t.Helper()
		var got spec
		_, problems := configs.Load("p.yaml", []byte(yaml), configs.Variables{}, &got)
		var messages []string
		for _, p := range problems {
			messages = append(messages, p.Path+": "+p.Message)
		}
		if d := cmp.Diff(want, messages); d != "" {
			t.Errorf("%s:\n%s", yaml, d)
		}
	}
	f("csv: {path: a, delimiter: ab, types: {x: flaot}}",
		`csv.delimiter: "ab" is not one ASCII character`, `csv.types: column "x": unknown type "flaot", did you mean "float"?`)
	f("csv: {path: a, names: [x]}", "csv.names: names are for files without a header")
	f("csv: {path: a, types: {x: binary}}", `csv.types: column "x": text cannot be read as binary`)
	f("parquet: {path: '-', columns: [x, x]}", "parquet.path: Parquet cannot be read from standard input", `parquet.columns: column "x" is named twice`)
	f("range: {}", "range: either to or rows must be given")
	f("ndjson: {path: a, schema: {a: string}, types: {a: string}}", "ndjson.types: types are for columns that are inferred, and schema names all")
}
