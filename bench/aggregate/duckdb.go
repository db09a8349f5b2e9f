//go:build unix && cgo

package main

import (
	"errors"
	"runtime"
	"strconv"

	b "github.com/duckdb/duckdb-go-bindings"
)

// queryWord makes this program the other side: a process that does nothing but
// one statement in the DuckDB that rpipe is linked with.
const queryWord = "duckdb-query"

func query(statement string) error {
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
	var r b.Result
	defer b.DestroyResult(&r)
	if b.Query(c, statement, &r) == b.StateError {
		return errors.New(b.ResultError(&r))
	}
	return nil
}
