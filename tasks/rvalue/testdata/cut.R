# Usage: Rscript cut.R TESTDATA DIR: NAME.FORM.split is a list, by Join, of what Split
# made of a value; NAME.FORM.rows of what Rows did; NAME.FORM.normal by Normalize. Says
# what differs.
args <- commandArgs(TRUE)
source(file.path(args[1], "values.R"))
count <- c(split = 0, rows = 0, normal = 0)
for (f in list.files(args[2], "[.](split|rows|normal)$")) {
  part <- strsplit(f, ".", fixed = TRUE)[[1]]
  value <- values[[part[1]]]
  got <- readRDS(file.path(args[2], f))
  want <- switch(part[3],
    normal = value,
    split = {
      x <- elements(value)
      if (length(names(value))) names(x) <- names(value)
      x
    },
    rows = {
      x <- lapply(seq_len(nrow(value)), function(i) {
        row <- lapply(as.list(value), function(column) {
          if (is.data.frame(column)) {
            d <- column[i, ]
            row.names(d) <- NULL
            d
          } else if (is.matrix(column)) column[i, , drop = FALSE] else column[[i]]
        })
        attributes(row) <- list(names = names(value))
        row
      })
      if (is.character(attr(value, "row.names"))) names(x) <- row.names(value)
      x
    }
  )
  count[[part[3]]] <- count[[part[3]]] + 1
  if (!same(want, got)) {
    cat(f, "differs:\n")
    str(got)
    cat("want\n")
    str(want)
  }
}
cat("checked", count, "\n")
