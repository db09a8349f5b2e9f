# Peers of the task queue, two workers each, no-op tasks. Prints name and seconds for:
#   Rscript peers.R rrq|rrq_latency|rrq_isolated|mirai|mirai_latency|callr N [REDIS_PORT]
args <- commandArgs(TRUE)
what <- args[[1]]
n <- as.integer(args[[2]])
noop <- function(i) i

timed <- function(f, rounds = 3) {
  for (k in seq_len(rounds)) {
    t0 <- proc.time()[["elapsed"]]
    f()
    cat(what, proc.time()[["elapsed"]] - t0, "\n")
  }
}

if (startsWith(what, "rrq")) {
  suppressMessages(library(rrq))
  con <- redux::hiredis(port = as.integer(args[[3]]))
  Sys.setenv(REDIS_URL = paste0("redis://127.0.0.1:", args[[3]]))
  obj <- rrq_controller(paste0("bench:", Sys.getpid()), con = con)
  rrq_default_controller_set(obj)
  rrq_worker_config_save("localhost", rrq_worker_config(verbose = FALSE), overwrite = TRUE)
  w <- suppressMessages(rrq_worker_spawn(2, progress = FALSE))
  on.exit(w$stop())
  isolated <- what == "rrq_isolated"
  bulk <- function() {
    id <- rrq_task_create_bulk_call(noop, seq_len(n), separate_process = isolated)
    rrq_task_wait(id, progress = FALSE)
    stopifnot(identical(unlist(rrq_task_results(id)), seq_len(n)))
  }
  one <- function() {
    for (i in seq_len(n)) {
      id <- rrq_task_create_call(noop, list(i))
      rrq_task_wait(id, progress = FALSE)
      rrq_task_result(id)
    }
  }
  warm <- rrq_task_create_bulk_call(noop, seq_len(20))
  invisible(rrq_task_wait(warm, progress = FALSE))
  timed(if (what == "rrq_latency") one else bulk)
  w$stop()
} else if (startsWith(what, "mirai")) {
  library(mirai)
  daemons(2)
  invisible(mirai_map(seq_len(20), noop)[])
  timed(if (what == "mirai_latency") {
    function() for (i in seq_len(n)) mirai(noop(i), noop = noop, i = i)[]
  } else {
    function() stopifnot(identical(unlist(mirai_map(seq_len(n), noop)[]), seq_len(n)))
  })
  daemons(0)
} else if (what == "callr") {
  timed(function() for (i in seq_len(n)) callr::r(noop, list(i)))
}
