package sources

import "github.com/rpipe-dev/rpipe/configs"

// Table lists the sources that a pipeline may name.
var Table = configs.Table{
	{Name: "csv", Doc: "Reads delimited text files.", New: func() any { return new(CSV) }},
	{Name: "parquet", Doc: "Reads Parquet files, row groups in parallel.", New: func() any { return new(Parquet) }},
}
