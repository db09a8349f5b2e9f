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
	sel = "SELECT sum(day), sum(n), sum(amount) FROM (" + strings.TrimRight(sel, ";\n") + ")"
	if d := cmp.Diff([]int64{3, 3, 11}, query(t, 3, set, sel)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int64{5}, query(t, 1, "SELECT count(*) FROM 'out/events/*/*.parquet'")); d != "" {
		t.Error(d) // else the test above proves nothing
	}
}

// query runs statements in a DuckDB of its own, and returns the first row of the last.
func query(t *testing.T, columns int, statements ...string) []int64 {
	t.Helper()
	var db b.Database
	var c b.Connection
	if b.Open("", &db) == b.StateError || b.Connect(db, &c) == b.StateError {
		t.Fatal("no DuckDB")
	}
	defer b.Close(&db)
	defer b.Disconnect(&c)
	row := make([]int64, columns)
	for _, statement := range statements {
		var r b.Result
		if b.Query(c, statement, &r) == b.StateError {
			t.Fatalf("%s: %s", statement, b.ResultError(&r))
		}
		for k := range row {
			row[k] = b.ValueInt64(&r, b.IdxT(k), 0)
		}
		b.DestroyResult(&r)
	}
	return row
}
