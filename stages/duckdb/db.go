//go:build cgo

package duckdb

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	b "github.com/duckdb/duckdb-go-bindings"
)

// Options are the limits of a database.
type Options struct {
	Temp    string // directory to spill to, made when it is needed; "" forbids spilling
	Memory  int64  // bytes that DuckDB's buffers may take; 0 is 512 MiB. The process takes about 130 MB more
	Threads int    // threads that work on one query; 0 is 1. Queries that run at once have one each in any case. With more than one, DuckDB sometimes loses the reason why a streaming query failed
}

// DB is a database in memory. Its methods may be called by several goroutines.
type DB struct {
	db     b.Database
	tables atomic.Int64 // made so far

	mu      sync.Mutex
	closed  bool
	queries map[*Query]struct{}
}

const defaultMemory = 512 << 20

// Open makes an empty database. It reads and writes no file but what it spills
// to Options.Temp, loads no extension, and its settings cannot be changed by a
// query.
func Open(o Options) (*DB, error) {
	if o.Memory <= 0 {
		o.Memory = defaultMemory
	}
	var config b.Config
	if b.CreateConfig(&config) == b.StateError {
		return nil, errors.New("duckdb: out of memory for a configuration")
	}
	defer b.DestroyConfig(&config)
	for _, s := range [][2]string{
		{"threads", strconv.Itoa(max(1, o.Threads))},
		{"memory_limit", strconv.FormatInt(o.Memory, 10) + "B"},
		{"temp_directory", o.Temp},
		{"autoinstall_known_extensions", "false"},
		{"autoload_known_extensions", "false"},
		{"allow_community_extensions", "false"},
		{"enable_external_access", "false"},
	} {
		if b.SetConfig(config, s[0], s[1]) == b.StateError {
			return nil, fmt.Errorf("duckdb: setting %s to %q was refused", s[0], s[1])
		}
	}
	d := &DB{queries: map[*Query]struct{}{}}
	var message string
	if b.OpenExt("", &d.db, config, &message) == b.StateError {
		return nil, fmt.Errorf("duckdb: open: %w", parseError(message))
	}
	if err := d.setUp(); err != nil {
		b.Close(&d.db)
		return nil, fmt.Errorf("duckdb: open: %w", err)
	}
	return d, nil
}

// setUp makes the settings that exist only in an open database, and the table
// function, which belongs to the database and serves all its connections.
func (d *DB) setUp() error {
	var c b.Connection
	if b.Connect(d.db, &c) == b.StateError {
		return errors.New("no connection")
	}
	defer b.Disconnect(&c)
	if err := registerScan(c); err != nil {
		return err
	}
	for _, q := range []string{
		"SET GLOBAL TimeZone = 'UTC'",
		"SET GLOBAL errors_as_json = true", // gives the place of an error as a number
		"SET GLOBAL lock_configuration = true",
	} {
		if err := exec(c, q); err != nil {
			return err
		}
	}
	return nil
}

func exec(c b.Connection, query string) error {
	var r b.Result
	defer b.DestroyResult(&r)
	if b.Query(c, query, &r) == b.StateError {
		return parseError(b.ResultError(&r))
	}
	return nil
}

// Close closes the database and its queries, none of which may be running.
func (d *DB) Close() {
	d.mu.Lock()
	queries := d.queries
	d.queries, d.closed = nil, true
	d.mu.Unlock()
	for q := range queries {
		q.closeIdle()
	}
	b.Close(&d.db)
}

var errClosed = errors.New("duckdb: the database is closed")

// add makes q one of those that Close closes.
func (d *DB) add(q *Query) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	d.queries[q] = struct{}{}
	return nil
}

func (d *DB) remove(q *Query) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.queries, q)
}
