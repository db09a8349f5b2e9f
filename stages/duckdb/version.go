//go:build cgo

package duckdb

import b "github.com/duckdb/duckdb-go-bindings"

// Version is the version of the engine that is linked in, such as v1.5.5.
func Version() string { return b.LibraryVersion() }
