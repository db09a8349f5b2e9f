package sources

import "github.com/rpipe-dev/rpipe/configs"

// Table lists the sources that a pipeline may name.
var Table = configs.Table{
	{Name: "csv", Doc: "Reads delimited text files.", New: func() any { return new(CSV) }},
	{Name: "ndjson", Doc: "Reads files with a JSON object a line.", New: func() any { return new(NDJSON) }},
	{Name: "parquet", Doc: "Reads Parquet files, row groups in parallel.", New: func() any { return new(Parquet) }},
	{Name: "rds", Doc: "Reads data frames that R saved with saveRDS.", New: func() any { return new(RDS) }},
	{Name: "http", Doc: "Reads the records of a web API, page by page.", New: func() any { return new(HTTP) }},
	{Name: "range", Doc: "Makes a column of whole numbers.", New: func() any { return new(Range) }},
	{Name: "rows", Doc: "Takes rows that are written in the pipeline file.", New: func() any { return new(Rows) }},
}
