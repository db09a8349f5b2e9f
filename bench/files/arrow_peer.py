"""CSV, NDJSON or Parquet through a condition to Parquet, in pyarrow."""

import sys

import pyarrow.dataset as ds
import pyarrow.parquet as pq

form, source, target = sys.argv[1:4]
data = ds.dataset(source, format={"ndjson": "json"}.get(form, form))
scan = data.scanner(filter=(ds.field("n") < 50) & (ds.field("x") > -800))
with pq.ParquetWriter(target, data.schema, compression="zstd", compression_level=3) as writer:
    for batch in scan.to_batches():
        if batch.num_rows:
            writer.write_batch(batch)
