# Bento's subprocess: a JSON array a line, and one line for each.
source("score.R")
input <- file("stdin", "r")
while (length(line <- readLines(input, 1L)) > 0L) {
  cat(jsonlite::toJSON(score(jsonlite::fromJSON(line)), digits = NA), "\n", sep = "")
  flush(stdout())
}
