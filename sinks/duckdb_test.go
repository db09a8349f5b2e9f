//go:build cgo

package sinks

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	duckdb "github.com/duckdb/duckdb-go-bindings"

	"github.com/rpipe-dev/rpipe/frame"
	"github.com/rpipe-dev/rpipe/stages"
)

// ask runs a query in a fresh DuckDB, our independent reader, and returns every
// value as DuckDB prints it; NULL is "NULL".
func ask(t testing.TB, query string) [][]string {
	t.Helper()
	var db duckdb.Database
	if duckdb.Open(":memory:", &db) != duckdb.StateSuccess {
		t.Fatal("duckdb: open failed")
	}
	defer duckdb.Close(&db)
	var con duckdb.Connection
	if duckdb.Connect(db, &con) != duckdb.StateSuccess {
		t.Fatal("duckdb: connect failed")
	}
	defer duckdb.Disconnect(&con)
	var table [][]string
	for _, q := range []string{"SET TimeZone='UTC'", "SELECT COLUMNS(*)::VARCHAR FROM (" + query + ")"} {
		var res duckdb.Result
		if duckdb.Query(con, q, &res) != duckdb.StateSuccess {
			t.Fatalf("duckdb: %s: %s", q, duckdb.ResultError(&res))
		}
		table = read(res)
		duckdb.DestroyResult(&res)
	}
	return table
}

func read(res duckdb.Result) (table [][]string) {
	for {
		chunk := duckdb.FetchChunk(res)
		if chunk.Ptr == nil {
			return table
		}
		for i := range int(duckdb.DataChunkGetSize(chunk)) {
			var row []string
			for c := range int(duckdb.ColumnCount(&res)) {
				v := duckdb.DataChunkGetVector(chunk, duckdb.IdxT(c))
				if mask := duckdb.VectorGetValidity(v); mask != nil && !duckdb.ValidityRowIsValid(mask, duckdb.IdxT(i)) {
					row = append(row, "NULL")
					continue
				}
				data := unsafe.Slice((*duckdb.StringT)(duckdb.VectorGetData(v)), i+1)
				row = append(row, duckdb.StringTData(&data[i]))
			}
			table = append(table, row)
		}
		duckdb.DestroyDataChunk(&chunk)
	}
}

// equalTable compares what DuckDB answered with lines of fields parted by |.
func equalTable(t testing.TB, got [][]string, want ...string) {
	t.Helper()
	var lines []string
	for _, row := range got {
		lines = append(lines, strings.Join(row, "|"))
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestDuckDBReadsParquet(t *testing.T) {
	for _, compression := range []string{"zstd", "snappy", "gzip", "lz4", "none"} {
		t.Run(compression, func(t *testing.T) {
			env := testEnv(t, "r1")
			commit(t, &Parquet{Path: "x.parquet", Compression: compression}, env, &stages.Rows{Value: allTypes(t), Rows: 5})
			file := "'" + filepath.Join(env.Dir, "x.parquet") + "'"

			equalTable(t, ask(t, "SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM read_parquet("+file+"))"),
				"zz_bool|BOOLEAN", "int32|INTEGER", "int64|BIGINT", "double|DOUBLE", "string|VARCHAR", "factor|VARCHAR",
				"ordered|VARCHAR", "date|DATE", "instant|TIMESTAMP WITH TIME ZONE", "wall|TIMESTAMP", "span|DOUBLE",
				"numbers|DOUBLE[]", "words|VARCHAR[]", "raw|BLOB", "json|JSON")
			equalTable(t, ask(t, "SELECT * FROM read_parquet("+file+")"),
				`true|1|9007199254740993|1.5|plain|b|mid|2024-03-10|2024-03-10 07:30:00.123456+00|2024-03-10 07:30:00.123456|90.0|[1.0, 2.0]|[a, b]|\x00\xFF|{"a":[1,null]}`,
				"false|2147483647|-9223372036854775807|-0.25|übung, \"q\"\nline|a|low|1969-12-31|1969-12-31 23:59:59.999999+00|1969-12-31 23:59:59.999999|0.5|[NULL, 3.0]|[ö]|x|\"text\"",
				`true|-1|-1|nan| |b|high|1970-01-01|1970-01-01 00:00:00+00|1970-01-01 00:00:00|0.0|[4.0]|['']| |0`,
				strings.TrimSuffix(strings.Repeat("NULL|", 15), "|"),
				`false|0|0|-inf|||low|1970-01-01|1970-01-01 00:00:00+00|1970-01-01 00:00:00|-1.0|[]|[]||{}`)
			equalTable(t, ask(t, "SELECT name, type, converted_type, repetition_type FROM parquet_schema("+file+") WHERE name IN ('numbers','list','element','wall','instant') ORDER BY ALL"),
				"element|BYTE_ARRAY|UTF8|OPTIONAL", "element|DOUBLE|NULL|OPTIONAL",
				"instant|INT64|TIMESTAMP_MICROS|OPTIONAL", "list|NULL|NULL|REPEATED", "list|NULL|NULL|REPEATED",
				"numbers|NULL|LIST|OPTIONAL", "wall|INT64|TIMESTAMP_MICROS|OPTIONAL")
			// A reader that prunes by statistics must lose neither the infinite nor the NaN.
			equalTable(t, ask(t, "SELECT (SELECT count(*) FROM read_parquet("+file+") WHERE double < -1), (SELECT count(*) FROM read_parquet("+file+") WHERE isnan(double))"), "1|1")
		})
	}
}

func TestDuckDBReadsPartitions(t *testing.T) {
	env := testEnv(t, "r1")
	commit(t, &Parquet{Path: "out", Files: Files{PartitionBy: []string{"part"}}}, env, rows(0, 0, 900), rows(0, 900, 600))
	glob := "'" + filepath.Join(env.Dir, "out", "**", "*.parquet") + "'"
	equalTable(t, ask(t, "SELECT part, count(*), sum(id), count(name) FROM read_parquet("+glob+", hive_partitioning=true) GROUP BY part ORDER BY part"),
		"x|500|374250|0", "y/z|500|374750|500", "é|500|375250|500")
}

func TestDuckDBReadsText(t *testing.T) {
	env := testEnv(t, "r1")
	batch := rows(0, 0, 300)
	commit(t, &CSV{Path: "x.csv", Header: true}, env, batch)
	commit(t, &CSV{Path: "x.csv.zst", Header: true}, env, batch)
	commit(t, &NDJSON{Path: "x.ndjson.gz"}, env, batch)
	for _, from := range []string{"read_csv('%/x.csv')", "read_csv('%/x.csv.zst', compression='zstd')", "read_json('%/x.ndjson.gz')"} {
		from = strings.Replace(from, "%", env.Dir, 1)
		equalTable(t, ask(t, "SELECT count(*), sum(id), count(name), max(part), sum(score) FROM "+from), "300|44850|200|é|22425.0")
	}
}

// The statistics of a row group whose first page is all NaN must not hide the
// numbers of its later pages from a reader that prunes by them.
func TestDuckDBFindsNumbersBehindNaN(t *testing.T) {
	env := testEnv(t, "r1")
	b := column(t, typed("x", arrow.PrimitiveTypes.Float64), 80_000, func(c *frame.Column, i int) {
		if i < 40_000 {
			c.AppendDouble(math.NaN())
		} else {
			c.AppendDouble(5)
		}
	})
	commit(t, &Parquet{Path: "x.parquet"}, env, b)
	file := "'" + filepath.Join(env.Dir, "x.parquet") + "'"
	equalTable(t, ask(t, "SELECT (SELECT count(*) FROM read_parquet("+file+") WHERE x = 5), (SELECT count(*) FROM read_parquet("+file+") WHERE x < 6), (SELECT count(*) FROM read_parquet("+file+") WHERE isnan(x))"),
		"40000|40000|40000")
}
