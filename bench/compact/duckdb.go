//go:build unix && cgo

package main

import (
	"errors"
	"runtime"
	"strconv"

	b "github.com/duckdb/duckdb-go-bindings"
)

// copyWord makes this program the other side: a process that does nothing but
// one COPY in the DuckDB that rpipe is linked with.
const copyWord = "duckdb-copy"

// copyFiles runs a statement after a setting, which may be empty.
func copyFiles(setting, statement string) error {
	var config b.Config
	if b.CreateConfig(&config) == b.StateError {
		return errors.New("duckdb: no configuration")
	}
	defer b.DestroyConfig(&config)
	if b.SetConfig(config, "threads", strconv.Itoa(runtime.GOMAXPROCS(0))) == b.StateError {
		return errors.New("duckdb: threads were refused")
	}
	var db b.Database
	var message string
	if b.OpenExt("", &db, config, &message) == b.StateError {
		return errors.New(message)
	}
	defer b.Close(&db)
	var c b.Connection
	if b.Connect(db, &c) == b.StateError {
		return errors.New("duckdb: no connection")
	}
	defer b.Disconnect(&c)
	for _, q := range []string{setting, statement} {
		if q == "" {
			continue
		}
		var r b.Result
		failed := b.Query(c, q, &r) == b.StateError
		why := b.ResultError(&r)
		b.DestroyResult(&r)
		if failed {
			return errors.New(why)
		}
	}
	return nil
}
