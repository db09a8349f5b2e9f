package sinks

import "github.com/rpipe-dev/rpipe/configs"

// Table lists the sinks by their key in YAML.
var Table = configs.Table{
	{Name: "parquet", Doc: "Writes Parquet files, partitioned by column values where asked.", New: func() any { return new(Parquet) }},
	{Name: "csv", Doc: "Writes delimited text files.", New: func() any { return new(CSV) }},
	{Name: "ndjson", Doc: "Writes files with one JSON object a line.", New: func() any { return new(NDJSON) }},
	{Name: "rds", Doc: "Writes a data.frame as R's readRDS reads it.", New: func() any { return new(RDS) }},
	{Name: "stdout", Doc: "Prints rows as they come.", New: func() any { return new(Stdout) }},
}
