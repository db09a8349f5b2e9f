# Usage: Rscript fromjson.R DIR: N.rds is what Go made of N.json; says where
# jsonlite::fromJSON() makes something else.
dir <- commandArgs(TRUE)[1]
count <- 0
for (f in list.files(dir, "[.]json$", full.names = TRUE)) {
  count <- count + 1
  text <- readChar(f, file.size(f), useBytes = TRUE)
  Encoding(text) <- "UTF-8"
  want <- suppressWarnings(jsonlite::fromJSON(text))
  got <- readRDS(sub("json$", "rds", f))
  if (!identical(want, got)) {
    cat(text, "is\n", deparse(got), "\nwant\n", deparse(want), "\n")
  }
}
cat("checked", count, "\n")
