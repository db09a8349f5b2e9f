//go:build cgo

package stages

import "github.com/rpipe-dev/rpipe/stages/duckdb"

// SQLVersion names the SQL engine that filter and derive use.
func SQLVersion() string { return "DuckDB " + duckdb.Version() }
