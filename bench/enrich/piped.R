# What hand.go starts: a number and as many lines of i,sku,price, and as many
# numbers back.
source("score.R")
input <- file("stdin", "r")
while (length(n <- readLines(input, 1L)) > 0L) {
  lines <- readLines(input, as.integer(n))
  d <- read.csv(text = lines, header = FALSE, col.names = c("i", "sku", "price"))
  writeLines(format(score(d)$beyond, digits = 15L, trim = TRUE))
  flush(stdout())
}
