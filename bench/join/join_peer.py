"""Joins two Parquet files into a third, in DuckDB."""

import sys

import duckdb

kind, key, stream, dataset, target = sys.argv[1:]
join = {"left": "LEFT", "semi": "SEMI"}[kind]
columns = "s.*, d.x AS x_d, d.name AS name_d" if kind == "left" else "s.*"
duckdb.sql(
    f"COPY (SELECT {columns} FROM read_parquet('{stream}') AS s"
    f" {join} JOIN read_parquet('{dataset}') AS d USING ({key}))"
    f" TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
)
