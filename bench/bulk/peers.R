# A frame of 3 doubles, an integer and a string in chunks, through a function
# that adds a column, by the means that R has. Reads "<means>" a line and answers
# with the seconds it took from the chunks in this process to the results in it.
# Arguments: rows, rows of a chunk, different strings.

args <- as.numeric(commandArgs(TRUE))
rows <- args[1L]
size <- args[2L]
distinct <- args[3L]

set.seed(1)
add <- function(df) {
  df$sum <- df$x + df$y
  df
}
chunks <- lapply(seq(0, rows - 1, by = size), function(from) {
  i <- seq(from, min(from + size, rows) - 1)
  data.frame(
    x = runif(length(i)), y = runif(length(i)), z = runif(length(i)),
    n = as.integer(i), key = sprintf("key-%07d", as.integer(i %% distinct))
  )
})
items <- NULL # the chunks, serialized

cluster <- NULL
timed <- function(expr) {
  gc()
  took <- system.time(results <- expr, gcFirst = FALSE)[["elapsed"]]
  stopifnot(length(results) == length(chunks), nrow(results[[1L]]) == nrow(chunks[[1L]]))
  took
}

need <- function(package) {
  if (!nzchar(system.file(package = package))) {
    stop(structure(class = c("missing_package", "error", "condition"), list(message = package, call = NULL)))
  }
}

means <- list(
  ready = function() 1,
  psock = function() {
    if (is.null(cluster)) {
      cluster <<- parallel::makePSOCKcluster(2L)
    }
    timed(parallel::parLapply(cluster, chunks, add))
  },
  mclapply = function() timed(parallel::mclapply(chunks, add, mc.cores = 2L)),
  multisession = function() {
    need("furrr")
    future::plan(future::multisession, workers = 2L)
    furrr::future_map(1:2, identity) # the workers are up
    timed(furrr::future_map(chunks, add))
  },
  multicore = function() {
    need("furrr")
    future::plan(future::multicore, workers = 2L)
    timed(furrr::future_map(chunks, add))
  },
  # What a worker cannot do without: read the chunk, write the result.
  alone = function() {
    if (is.null(items)) {
      items <<- lapply(chunks, serialize, NULL, xdr = FALSE, version = 2L)
      chunks <<- NULL
      gc()
    }
    system.time(
      for (item in items) serialize(unserialize(item), NULL, xdr = FALSE, version = 2L),
      gcFirst = FALSE
    )[["elapsed"]]
  }
)

options(future.globals.maxSize = Inf)
input <- file("stdin", "r")
while (length(line <- readLines(input, 1L)) > 0L) {
  answer <- tryCatch(
    suppressMessages(means[[line]]()),
    missing_package = function(e) paste("missing", conditionMessage(e))
  )
  cat(answer, "\n", sep = "")
}
if (!is.null(cluster)) parallel::stopCluster(cluster)
if ("future" %in% loadedNamespaces()) future::plan(future::sequential)
