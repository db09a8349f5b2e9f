//go:build cgo

package compact

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	b "github.com/duckdb/duckdb-go-bindings"
	"github.com/google/go-cmp/cmp"

	"github.com/rpipe-dev/rpipe/configs"
	"github.com/rpipe-dev/rpipe/sinks"
)

// The statements of docs/compaction.md find every row once where new files stand
// beside old ones, which a glob of DuckDB would count twice.
func TestDuckDBReadsByTheManifest(t *testing.T) {
	env := testEnv(t, "run-1")
	s := columns(t, "id int64", "day int32", "amount double")
	write(t, env, "run-1", sinks.Parquet{Path: "out/events", Files: sinks.Files{PartitionBy: []string{"day"}}},
		rowsOf(t, s, []string{"1", "1", "1.5"}, []string{"2", "2", "7"}), rowsOf(t, s, []string{"3", "1", "2.5"}))
	o := options(env, "out/events")
	o.Publish, o.Grace = Beside, configs.Duration(1e12)
	compacted(t, o)

	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "compaction.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, sql, ok := strings.Cut(string(page), "```sql\n")
	if !ok {
		t.Fatal("the page has no SQL")
	}
	sql, _, _ = strings.Cut(sql, "```")
	set, sel, ok := strings.Cut(sql, ";\n")
	if !ok {
		t.Fatal("the page's SQL has no second statement")
	}
	t.Chdir(env.Dir)
	sel = strings.TrimRight(sel, ";\n")
	if d := cmp.Diff("1,2,4.0\n2,1,7.0\n", query(t, sel, set)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff("5\n", query(t, "SELECT count(*) FROM 'out/events/*/*.parquet'")); d != "" {
		t.Error(d) // else the test above proves nothing
	}
}

// query runs a SELECT in a DuckDB of its own, after other statements, and returns
// its rows as CSV.
func query(t *testing.T, sel string, before ...string) string {
	t.Helper()
	var db b.Database
	var c b.Connection
	if b.Open("", &db) == b.StateError || b.Connect(db, &c) == b.StateError {
		t.Fatal("no DuckDB")
	}
	defer b.Close(&db)
	defer b.Disconnect(&c)
	for _, statement := range append(before, "COPY ("+sel+") TO 'rows.csv' (HEADER false)") {
		var r b.Result
		failed := b.Query(c, statement, &r) == b.StateError
		why := b.ResultError(&r)
		b.DestroyResult(&r)
		if failed {
			t.Fatalf("%s: %s", statement, why)
		}
	}
	rows, err := os.ReadFile("rows.csv")
	if err != nil {
		t.Fatal(err)
	}
	return string(rows)
}
