# Usage: Rscript check.R TESTDATA DIR: compares what Go wrote with the catalogue.
args <- commandArgs(TRUE)
source(file.path(args[1], "catalogue.R"))
count <- 0
for (name in names(catalogue)) {
  e <- catalogue[[name]]
  for (f in list.files(args[2], paste0("^", name, "[.].*[.]go$"), full.names = TRUE)) {
    count <- count + 1
    value <- tryCatch(readRDS(f), error = identity)
    if (!isTRUE(e$same(e$value, value))) {
      cat(basename(f), "differs:\n")
      str(value)
    }
  }
}
cat("checked", count, "\n")
