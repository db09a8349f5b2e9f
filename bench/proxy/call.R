# Times plumber's pr$call() in a loop, in this process: no HTTP, no proxy. Reads
# how many calls to make, a line each, and answers with the seconds they took.
if (!requireNamespace("plumber", quietly = TRUE)) {
  missing <- "missing plumber"
}
input <- file("stdin", "r")
pr <- if (!exists("missing", inherits = FALSE)) plumber::plumb(commandArgs(TRUE)[1])

nothing <- list(
  read = function(l = -1) raw(),
  read_lines = function(n = -1) character(),
  rewind = function() invisible()
)
request <- function() {
  req <- new.env(parent = emptyenv())
  req$REQUEST_METHOD <- "GET"
  req$PATH_INFO <- "/hello"
  req$QUERY_STRING <- ""
  req$HTTP_ACCEPT <- "*/*"
  req$HTTP_HOST <- "127.0.0.1:8000"
  req$rook.input <- nothing
  req
}

while (length(line <- readLines(input, n = 1L)) == 1L) {
  if (exists("missing", inherits = FALSE)) {
    answer <- missing
  } else if (line == "ready") {
    answer <- 0
  } else {
    n <- as.integer(line)
    start <- proc.time()[["elapsed"]]
    for (i in seq_len(n)) {
      res <- pr$call(request())
    }
    answer <- proc.time()[["elapsed"]] - start
    stopifnot(res$status == 200L, identical(as.character(res$body), "{\"msg\":[\"hi\"]}"))
  }
  cat(answer, "\n", sep = "")
}
