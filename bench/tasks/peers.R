# No-op tasks on two workers by the peers of the task queue. Reads "<means> <n>" a line
# and answers with the seconds that n tasks took, from submission to all results.
# Argument: the port of a Redis.

redis <- commandArgs(TRUE)[1L]
noop <- function(i) i

need <- function(package) {
  if (!nzchar(system.file(package = package))) {
    stop(structure(class = c("missing_package", "error", "condition"), list(message = package, call = NULL)))
  }
}

rrq <- NULL # its workers, once they are up
rrq_up <- function() {
  if (is.null(rrq)) {
    need("rrq")
    Sys.setenv(REDIS_URL = paste0("redis://127.0.0.1:", redis))
    con <- redux::hiredis(port = as.integer(redis))
    rrq::rrq_default_controller_set(rrq::rrq_controller(paste0("bench:", Sys.getpid()), con = con))
    rrq::rrq_worker_config_save("localhost", rrq::rrq_worker_config(verbose = FALSE), overwrite = TRUE)
    rrq <<- suppressMessages(rrq::rrq_worker_spawn(2, progress = FALSE))
  }
}
rrq_bulk <- function(n, isolated) {
  rrq_up()
  id <- rrq::rrq_task_create_bulk_call(noop, seq_len(n), separate_process = isolated)
  rrq::rrq_task_wait(id, progress = FALSE)
  stopifnot(identical(unlist(rrq::rrq_task_results(id)), seq_len(n)))
}
mirai_up <- function() {
  need("mirai")
  if (mirai::status()$connections == 0) {
    mirai::daemons(2)
    invisible(mirai::mirai_map(1:2, noop)[])
  }
}

means <- list(
  ready = function(n) NULL,
  rrq = function(n) rrq_bulk(n, FALSE),
  rrq_isolated = function(n) rrq_bulk(n, TRUE),
  rrq_one = function(n) {
    rrq_up()
    for (i in seq_len(n)) {
      id <- rrq::rrq_task_create_call(noop, list(i))
      rrq::rrq_task_wait(id, progress = FALSE)
      rrq::rrq_task_result(id)
    }
  },
  mirai = function(n) {
    mirai_up()
    stopifnot(identical(unlist(mirai::mirai_map(seq_len(n), noop)[]), seq_len(n)))
  },
  mirai_one = function(n) {
    mirai_up()
    for (i in seq_len(n)) mirai::mirai(noop(i), noop = noop, i = i)[]
  },
  callr = function(n) {
    need("callr")
    for (i in seq_len(n)) callr::r(noop, list(i))
  }
)

input <- file("stdin", "r")
while (length(line <- readLines(input, 1L))) {
  words <- strsplit(line, " ")[[1L]]
  answer <- tryCatch(
    {
      took <- system.time(suppressMessages(means[[words[1L]]](as.integer(words[2L]))))
      format(took[["elapsed"]], digits = 6)
    },
    missing_package = function(e) paste("missing", conditionMessage(e))
  )
  cat(answer, "\n", sep = "")
}
if (!is.null(rrq)) rrq$stop()
if (nzchar(system.file(package = "mirai"))) mirai::daemons(0)
