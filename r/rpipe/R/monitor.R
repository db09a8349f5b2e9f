#' Watch queues, workers and tasks
#'
#' Prints the dashboard's address and a table, and again every so many seconds until Ctrl-C. In RStudio and Positron
#' `job = TRUE` has a job of the background pane do it.
#'
#' @param interval Seconds between two tables.
#' @param times How many tables. Without it, until Ctrl-C; 1 where nobody watches.
#' @param job Whether a job of the IDE does it, where there is one.
#' @param con A connection. Without it, the session's.
#' @return Counts by state, invisibly.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_monitor(times = 1)
#' rp_stop()
#' @export
rp_monitor <- function(interval = 1, times = if (interactive()) Inf else 1, job = FALSE, con = NULL) {
  con <- connection(con)
  check_seconds(interval, "interval")
  if (job) {
    return(invisible(monitor_job(con, interval)))
  }
  lines <- 0L
  live <- times > 1 && cli::is_dynamic_tty()
  n <- 0
  repeat {
    states <- GET(con, "/v1/info")$states
    text <- monitor_lines(con, states)
    if (live && lines > 0L) cat(sprintf("\033[%dA\033[J", lines))
    cat(text, sep = "\n")
    lines <- length(text)
    n <- n + 1
    if (n >= times) break
    Sys.sleep(interval)
  }
  invisible(unlist(states))
}

monitor_lines <- function(con, states) {
  queues <- rp_queue_list(con)
  workers <- rp_worker_list(con)
  workers$rss <- vapply(workers$rss, bytes_text, "")
  table <- function(d) if (nrow(d)) utils::capture.output(print(d, row.names = FALSE)) else "  none"
  c(
    paste0("rpipe at ", con$url, ", ", format(Sys.time(), "%H:%M:%S")),
    if (is.null(con$socket)) paste0("Dashboard: ", con$base, "/ui/"),
    paste0("Tasks: ", if (length(states)) paste(unlist(states), names(states), collapse = ", ") else "none"),
    "Queues:", table(queues[c("name", "pending", "deferred", "running", "workers", "paused")]),
    "Workers:", table(workers[c("id", "host", "state", "queues", "busy", "max", "done", "rss")])
  )
}

# monitor_job has the IDE run the monitor in its pane for background jobs.
monitor_job <- function(con, interval) {
  script <- monitor_script(con, interval)
  tryCatch(run_in_ide(script), error = function(e) {
    unlink(script)
    stop(e)
  })
}

# monitor_script is a file that watches what con is connected to, and removes itself when
# it has begun: it may hold a token, and is for this user alone.
monitor_script <- function(con, interval) {
  script <- tempfile("rpipe-monitor", fileext = ".R")
  file.create(script)
  Sys.chmod(script, "0600")
  path <- function(x) if (!is.null(x)) normalizePath(x)
  given <- list(url = con$url, token = con$token, ca = path(con$ca), cert = path(con$cert), key = path(con$key))
  given <- given[!vapply(given, is.null, NA)]
  writeLines(c(
    sprintf("unlink(%s)", deparse(script)),
    sprintf("rpipe::rp_connect(%s)", paste(names(given), vapply(given, deparse, ""), sep = " = ", collapse = ", ")),
    sprintf("rpipe::rp_monitor(interval = %s, times = Inf)", format(max(interval, 2)))
  ), script)
  script
}

run_in_ide <- function(script) {
  if (!requireNamespace("rstudioapi", quietly = TRUE) || !rstudioapi::isAvailable()) {
    fail("`job = TRUE` needs RStudio or Positron, and the package rstudioapi.")
  }
  rstudioapi::jobRunScript(script, name = "rpipe")
}
