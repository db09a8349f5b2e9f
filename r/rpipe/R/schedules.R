#' Schedules of the server
#'
#' What runs by the clock stands in the server's configuration: R functions and scripts
#' under `schedules` of `rpipe.yaml`, pipelines by their `schedule`. Here they are listed,
#' run by hand, paused, run for past times, and their history is read.
#'
#' @param name Name of a schedule.
#' @param n `rp_schedule_next()`: how many times.
#' @param scheduled The time that a run by hand is for. Without it, now.
#' @param wait Whether to wait until the run has ended.
#' @param timeout Seconds to wait.
#' @param from,to Times of this range are run, `to` not included: a time, or text such as
#'   `"2026-01-01"`, which is in the zone of the schedule.
#' @param state Runs in these states alone, such as `"ERROR"`.
#' @param since,until Runs that are for a time from `since` on and before `until`: times,
#'   or text such as `"1d"` ago.
#' @param limit How many runs at most, the newest first.
#' @param id Id of a run, or of what `rp_schedule_backfill()` returns.
#' @param con A connection. Without it, the session's.
#' @return `rp_schedule_list()`, `rp_schedule_history()`: a data.frame with a row for each.
#'   `rp_schedule_next()`: times. `rp_schedule_run()`, `rp_schedule_backfill()`: the id, with
#'   `wait` the state that the run ended in. `rp_schedule_log()`: lines. The others: the
#'   schedule or run, a list, invisibly.
#' @examplesIf rpipe:::can_serve()
#' config <- tempfile(fileext = ".yaml")
#' writeLines(c("schedules:", "  - {name: tick, cron: '@daily', expr: 6 * 7}"), config)
#' rp_start(workers = 1, data = tempfile("rpipe"), config = config)
#' rp_schedule_list()
#' rp_schedule_next("tick", n = 2)
#' rp_schedule_run("tick", wait = TRUE)
#' rp_schedule_history("tick")
#' rp_stop()
#' @export
rp_schedule_list <- function(con = NULL) {
  rows <- GET(connection(con), "/v1/schedules")$schedules
  data.frame(
    name = text_column(rows, "name"), kind = text_column(rows, "kind"), cron = text_column(rows, "cron"),
    time_zone = text_column(rows, "time_zone"), paused = flag_column(rows, "paused"), failing = flag_column(rows, "failing"),
    `next` = time_column(rows, "next"), last = vapply(rows, function(r) r$last$state %||% NA_character_, ""),
    last_time = time_of(vapply(rows, function(r) r$last$scheduled %||% NA_character_, "")),
    running = number_column(rows, "running"), waiting = number_column(rows, "waiting"), owner = text_column(rows, "owner")
  )
}

flag_column <- function(rows, name) vapply(rows, function(r) isTRUE(r[[name]]), NA)

#' @rdname rp_schedule_list
#' @export
rp_schedule_next <- function(name, n = 10, con = NULL) {
  time_of(unlist(GET(connection(con), schedule_path(name, "next"), list(n = n))$times) %||% character())
}

schedule_path <- function(name, ...) at("schedules", check_string(name, "name"), ...)

#' @rdname rp_schedule_list
#' @export
rp_schedule_run <- function(name, scheduled = NULL, wait = FALSE, timeout = Inf, con = NULL) {
  con <- connection(con)
  run <- POST(con, schedule_path(name, "run"), list(scheduled = time_text(scheduled)), once = TRUE)
  if (!wait) {
    return(run$id)
  }
  until <- Sys.time() + timeout
  pause <- 0.05
  while (is.null(run$ended)) {
    if (Sys.time() > until) fail("Run ", run$id, " of schedule ", name, " has not ended within ", timeout, " s; rp_schedule_cancel() ends it.", class = "rpipe_timeout")
    Sys.sleep(pause) # between two looks: runs have nothing to wait by
    pause <- min(2 * pause, 1)
    run <- GET(con, at("runs", run$id))
  }
  if (!run$state %in% "COMPLETE") {
    cli::cli_warn("Run {run$id} of schedule {name} is {run$state}: {run$error %||% run$reason %||% ''}")
  }
  run$state
}

#' @rdname rp_schedule_list
#' @export
rp_schedule_pause <- function(name, con = NULL) invisible(POST(connection(con), schedule_path(name, "pause")))

#' @rdname rp_schedule_list
#' @export
rp_schedule_resume <- function(name, con = NULL) invisible(POST(connection(con), schedule_path(name, "resume")))

#' @rdname rp_schedule_list
#' @export
rp_schedule_backfill <- function(name, from, to, con = NULL) {
  POST(connection(con), schedule_path(name, "backfill"), list(from = time_text(from), to = time_text(to)), once = TRUE)$id
}

#' @rdname rp_schedule_list
#' @export
rp_schedule_cancel <- function(id, con = NULL) {
  invisible(POST(connection(con), at("runs", check_string(id, "id"), "cancel"), once = TRUE))
}

#' @rdname rp_schedule_list
#' @export
rp_schedule_history <- function(name = NULL, state = NULL, since = NULL, until = NULL, limit = 100, con = NULL) {
  rows <- pages(connection(con), if (is.null(name)) "/v1/runs" else schedule_path(name, "runs"), "runs", limit, list(
    state = if (length(state)) paste(state, collapse = ","), since = time_text(since), until = time_text(until)
  ), most = 1000)
  data.frame(
    id = text_column(rows, "id"), schedule = text_column(rows, "schedule"), scheduled = time_column(rows, "scheduled"),
    cause = text_column(rows, "cause"), state = text_column(rows, "state"), attempt = number_column(rows, "attempt"),
    started = time_column(rows, "started"), ended = time_column(rows, "ended"), job = text_column(rows, "job"),
    message = vapply(rows, function(r) r$error %||% r$reason %||% NA_character_, "")
  )
}

#' @rdname rp_schedule_list
#' @export
rp_schedule_log <- function(id, con = NULL) {
  bytes <- http(connection(con), "GET", at("runs", check_string(id, "id"), "log"), accept = "text/plain")
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  strsplit(text, "\n", fixed = TRUE)[[1L]]
}
