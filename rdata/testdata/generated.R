# Usage: Rscript generated.R DIR
# DIR/values.R makes a list of values, of which DIR/N-*.rds are what Go wrote.
# Says which of them differ, and writes the values for Go to read.
args <- commandArgs(TRUE)
dir <- args[1]

num <- function(hex) {
  bytes <- strtoi(substring(hex, seq(1, 15, 2), seq(2, 16, 2)), 16L)
  readBin(as.raw(bytes), "double", endian = "big")
}
values <- eval(parse(file.path(dir, "values.R"), encoding = "UTF-8", keep.source = FALSE))

for (i in seq_along(values)) {
  files <- list.files(dir, sprintf("^%d-", i), full.names = TRUE)
  stopifnot(length(files) > 0)
  for (f in files) {
    if (!identical(readRDS(f), values[[i]], attrib.as.set = FALSE)) {
      cat(basename(f), "differs from", deparse(values[[i]]), "\n")
    }
  }
  for (version in 2:3) for (xdr in c(TRUE, FALSE)) {
    path <- file.path(dir, sprintf("r%d-%d%s.bin", i, version, if (xdr) "x" else "b"))
    writeBin(serialize(values[[i]], NULL, xdr = xdr, version = version), path)
  }
}
