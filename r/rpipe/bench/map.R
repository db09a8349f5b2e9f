# rp_lapply() beside furrr, rp_chunked() beside parLapply(), two workers each, in turns.
#
#   Rscript bench/map.R
#
# needs rpipe (the program and this package), furrr and vctrs. Prints seconds, sorted.
library(rpipe)
library(future)

rp_start(workers = 2, data = tempfile("rpipe"))
plan(multisession, workers = 2)
cluster <- parallel::makePSOCKcluster(2)

d <- data.frame(a = rnorm(1e6), b = rnorm(1e6), c = rnorm(1e6), i = 1:1000000, s = sample(letters, 1e6, TRUE))
add <- function(x) {
  x$z <- x$a + 1
  x
}
chunks <- function() lapply(0:99, function(i) d[i * 1e4 + 1:1e4, ])
of <- function(expr) system.time(expr)[[3L]]

rp_lapply(1:4, identity)
furrr::future_map(1:4, identity)
times <- lapply(1:7, function(k) {
  d$a[1L] <<- k # what is stored already would not be sent
  c(
    rp_lapply = of(rp_lapply(1:2000, function(i) i)),
    future_map = of(furrr::future_map(1:2000, function(i) i)),
    rp_chunked = of(rp_chunked(d, add)),
    parLapply = of(do.call(vctrs::vec_rbind, parallel::parLapply(cluster, chunks(), add)))
  )
})
print(round(apply(do.call(rbind, times), 2L, sort), 3L))

parallel::stopCluster(cluster)
plan(sequential)
rp_stop()
