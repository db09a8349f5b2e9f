// Package duckdb runs SQL over frames in an embedded DuckDB.
//
// It serves the stages filter, derive, join, aggregate and sql. A [DB] is one
// in-memory database with limits, without access to files or the network. A
// [Query] is a SELECT, or a set of scalar expressions, checked once against the
// schemas of its inputs and then run any number of times, by any number of
// goroutines; each has a connection of its own. An [Input] is one frame or a
// stream of them.
//
// Results stream: a query pulls its input as fast as its result is taken, so a
// slow consumer slows the producer. Ending the context stops a query within
// milliseconds, also while it computes and while its input is silent.
//
// Frames enter through a table function of our own. DuckDB's arrow_scan is not
// used: it announces a push-down of columns and filters that a stream cannot
// honour, and returns wrong columns (duckdb/duckdb#17012). Columns that a query
// does not mention are never copied.
//
// # Types
//
//	frame                          DuckDB         back from DuckDB
//	bool                           BOOLEAN        bool
//	int32                          INTEGER        int32; also TINYINT, SMALLINT, UTINYINT, USMALLINT
//	int64                          BIGINT         int64; also UINTEGER, HUGEINT
//	double                         DOUBLE         double; also FLOAT, DECIMAL, UBIGINT, UHUGEINT, BIGNUM
//	string, factor, ordered        VARCHAR        string; also ENUM, UUID, BIT
//	json                           VARCHAR        JSON, STRUCT, MAP, UNION and nested lists are json
//	date                           DATE           date
//	timestamp[zone]                TIMESTAMPTZ    timestamp[UTC]
//	timestamp                      TIMESTAMP      timestamp; also TIMESTAMP_S, _MS, _NS
//	difftime, hms                  DOUBLE         hms for TIME; INTERVAL is refused
//	binary                         BLOB           binary
//	list<T>                        T[]            list<T>; also arrays
//
// A literal such as 1.5 is DECIMAL in DuckDB and arrives as double. DECIMAL,
// UBIGINT and the huge unsigned integers lose what a double cannot hold, from 2^53
// on; cast to BIGINT in the query to keep it or have an error. sum() of integers
// is HUGEINT, which comes back as int64 or is an error: cast to DOUBLE to have a
// larger one rounded.
//
// NULL is NULL. NaN is a value: it equals itself and is greater than every
// number, so x > 1 is true for NaN, and x = x too. Functions that read the clock
// or parts of a timestamp see UTC, whatever the zone of the column; write
// x AT TIME ZONE 'Europe/Berlin' for local parts.
//
// Names of columns and tables are not case sensitive in SQL. A query that uses
// one of two columns whose names differ only in case is refused.
//
// The package needs cgo. Without it this file and [Error] are all there is of it.
package duckdb
