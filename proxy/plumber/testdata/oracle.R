# The oracle: plumber's own $run() for each line "name<TAB>path<TAB>port" of stdin,
# each in a process of its own, which says "@ready name port" once it listens. A directory or a file is plumbed; a path that ends in run.R is a script
# that starts its API itself.
suppressPackageStartupMessages(library(plumber))
lines <- strsplit(readLines("stdin"), "\t", fixed = TRUE)
serve <- function(name, path, port) {
  later::later(function() cat(sprintf("@ready %s %d\n", name, port)))
  options(plumber.port = port)
  if (grepl("run\\.R$", path)) {
    setwd(dirname(path))
    source(basename(path), local = new.env())
  } else if (dir.exists(path)) {
    setwd(path)
    plumb(dir = ".")$run(quiet = TRUE)
  } else {
    plumb(path)$run(quiet = TRUE)
  }
}
for (line in lines) {
  parallel::mcparallel(
    tryCatch(serve(line[1L], line[2L], as.integer(line[3L])), error = function(e) {
      cat(sprintf("@failed %s %s\n", line[1L], conditionMessage(e)))
    }),
    detached = TRUE
  )
}
repeat Sys.sleep(3600)
