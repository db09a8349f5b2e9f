# Many requests at once with curl, then the function on all cores.
# Arguments: the server's URL, how many rows, the file.
source("score.R")
args <- commandArgs(TRUE)
n <- as.integer(args[2L])
rows <- vector("list", n)
pool <- curl::new_pool(total_con = 64, host_con = 64)
for (i in seq_len(n)) {
  local({
    i <- i
    done <- function(answer) {
      stopifnot(answer$status_code == 200L)
      rows[[i]] <<- jsonlite::fromJSON(rawToChar(answer$content))
    }
    curl::curl_fetch_multi(paste0(args[1L], "/items/", i), done = done, fail = stop, pool = pool)
  })
}
curl::multi_run(pool = pool)
all <- data.frame(i = seq_len(n), sku = vapply(rows, `[[`, "", "sku"), price = vapply(rows, `[[`, 0, "price"))
parts <- split(all, ceiling(all$i / 500))
scored <- parallel::mclapply(parts, score, mc.cores = parallel::detectCores())
saveRDS(do.call(rbind, scored), args[3L])
