# One request after the other with httr. Arguments as those of multi.R.
source("score.R")
args <- commandArgs(TRUE)
rows <- lapply(seq_len(as.integer(args[2L])), function(i) {
  answer <- httr::GET(paste0(args[1L], "/items/", i))
  httr::stop_for_status(answer)
  item <- httr::content(answer)
  data.frame(i = i, sku = item$sku, price = item$price)
})
saveRDS(score(do.call(rbind, rows)), args[3L])
