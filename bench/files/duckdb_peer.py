"""CSV, NDJSON or Parquet through a condition to Parquet, in DuckDB."""

import sys

import duckdb

form, source, target, condition = sys.argv[1:]
read = {"csv": "read_csv", "ndjson": "read_json", "parquet": "read_parquet"}[form]
duckdb.sql(
    f"COPY (FROM {read}('{source}') WHERE {condition})"
    f" TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
)
