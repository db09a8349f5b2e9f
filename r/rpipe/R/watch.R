# tasks_of are the records of tasks: of ids, and of all tasks of jobs among them.
tasks_of <- function(con, ids) {
  unlist(lapply(ids, function(id) {
    if (!is_task(id)) {
      return(pages(con, path_of(id, "tasks"), "tasks", query = list(order = "oldest")))
    }
    list(tryCatch(GET(con, path_of(id)), rpipe_not_found = function(e) list(id = id, state = "MISSING")))
  }), recursive = FALSE)
}

#' Watch tasks
#'
#' @param x A handle, a list of handles, or ids.
#' @param con A connection. Without it, the session's.
#' @return `rp_status()`: states by id. Those are PENDING, DEFERRED, RUNNING, COMPLETE,
#'   ERROR, CANCELLED, DIED, TIMEOUT, IMPOSSIBLE, MOVED and MISSING.
#'
#'   `rp_info()`: the record of one task or job, as the server has it: a list.
#'
#'   `rp_times()`: a data.frame with times and seconds.
#'
#'   `rp_log()`: what tasks printed, lines in a data.frame; with `follow` it prints them
#'   until the task has ended.
#'
#'   `rp_progress()`: what a task last told by [rp_progress_update()], or `NULL`.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' h <- rp_submit({
#'   message("at work")
#'   1
#' })
#' rp_wait(h)
#' rp_status(h)
#' rp_log(h)
#' rp_times(h)
#' rp_stop()
#' @export
rp_status <- function(x, con = NULL) {
  rows <- tasks_of(connection(con), ids_of(x))
  stats::setNames(text_column(rows, "state"), text_column(rows, "id"))
}

#' @rdname rp_status
#' @export
rp_info <- function(x, con = NULL) {
  info <- GET(connection(con), path_of(one_id(x)))
  for (field in intersect(names(info), c("submitted", "created", "started", "ended", "not_before"))) {
    info[[field]] <- time_of(info[[field]])
  }
  info
}

#' @rdname rp_status
#' @export
rp_times <- function(x, con = NULL) {
  rows <- tasks_of(connection(con), ids_of(x))
  t <- tasks_frame(rows)
  data.frame(
    id = t$id, submitted = t$submitted, started = t$started, ended = t$ended,
    waited = as.numeric(difftime(t$started, t$submitted, units = "secs")),
    took = as.numeric(difftime(t$ended, t$started, units = "secs"))
  )
}

#' @rdname rp_status
#' @param follow Whether to print lines as they come.
#' @export
rp_log <- function(x, follow = FALSE, con = NULL) {
  con <- connection(con)
  ids <- ids_of(x)
  if (follow) {
    return(invisible(follow_log(con, one_id(x))))
  }
  ids <- unlist(lapply(ids, function(id) if (is_task(id)) id else text_column(tasks_of(con, id), "id")))
  frames <- lapply(ids, function(id) {
    lines <- log_lines(con, path_of(id, "log"))
    data.frame(
      task = rep(id, length(lines)), time = time_column(lines, "time"), attempt = number_column(lines, "attempt"),
      stream = text_column(lines, "stream"), line = text_column(lines, "line")
    )
  })
  do.call(rbind, frames)
}

log_lines <- function(con, path, after = 0) {
  text <- rawToChar(http(con, "GET", path, list(after = after), accept = TYPE_LINES))
  Encoding(text) <- "UTF-8"
  lines <- strsplit(text, "\n", fixed = TRUE)[[1L]]
  lapply(lines[nzchar(lines)], jsonlite::fromJSON, simplifyVector = FALSE)
}

# follow_log prints lines until the task has ended. Each request waits for the end a
# little, then asks for what is new, so that an interrupt is heard.
follow_log <- function(con, id) {
  if (!is_task(id)) fail("rp_log(follow = TRUE) follows one task: \"", id, ".1\" is the first of this job.")
  after <- 0
  repeat {
    done <- wait_once(con, id, "all", 0.3)$done
    for (line in log_lines(con, path_of(id, "log"), after)) {
      cat(line$line, "\n", sep = "")
      after <- max(after, line$seq)
    }
    if (done) break
  }
}

#' @rdname rp_status
#' @export
rp_progress <- function(x, con = NULL) {
  value <- GET(connection(con), at("tasks", one_id(x), "progress"))$value
  if (is.list(value)) value <- jsonlite::fromJSON(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA))
  value
}

#' Tell of progress within a task
#'
#' The last value is what [rp_progress()] answers. Elsewhere than in a task nothing
#' happens. Workers need not have this package for it. A condition of class `progress`
#' whose message is the value does the same:
#' `signalCondition(structure(class = c("progress", "condition"), list(message = "half", call = NULL)))`.
#'
#' @param value A value, up to 1 MiB.
#' @return Nothing.
#' @examples
#' rp_progress_update(list(done = 5, of = 10))
#' @export
rp_progress_update <- function(value) {
  signalCondition(structure(class = c("rpipe_progress", "condition"), list(message = "progress", call = NULL, value = value)))
  invisible(NULL)
}

# wait_once is one request, for at most so many seconds.
wait_once <- function(con, ids, until = "all", seconds = 30) {
  POST(con, "/v1/wait", list(ids = as.list(ids), until = until, timeout = max(seconds, 0.001)), long = seconds)
}

#' Wait for tasks
#'
#' @param x A handle, a list of handles, or ids.
#' @param timeout Seconds.
#' @param until `"all"` have ended, `"any"` has, or the first has failed (`"first_error"`).
#' @param progress Whether there is a progress bar.
#' @param con A connection. Without it, the session's.
#' @return Whether all are COMPLETE. An error of class `rpipe_timeout` where the time is
#'   over.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_wait(rp_submit(Sys.sleep(0.1)))
#' rp_stop()
#' @export
rp_wait <- function(x, timeout = Inf, until = c("all", "any", "first_error"), progress = NULL, con = NULL) {
  con <- connection(con)
  ids <- ids_of(x)
  until <- match.arg(until)
  check_seconds(timeout, "timeout")
  if (!length(ids)) {
    return(invisible(TRUE))
  }
  bar <- new_bar(shows(progress))
  on.exit(bar$close())
  end <- Sys.time() + timeout
  repeat {
    left <- as.numeric(end - Sys.time(), units = "secs")
    w <- wait_once(con, ids, until, min(if (bar$shown) 0.3 else 30, max(left, 0)))
    if (length(w$missing)) fail("There is no task or job ", w$missing[[1L]], ", or it is another's.", class = "rpipe_not_found")
    bar$update(ended_of(w$states), w$total)
    if (w$done) break
    if (Sys.time() >= end) {
      fail("After ", format(timeout), " s, ", ended_of(w$states), " of ", w$total, " tasks have ended.", class = "rpipe_timeout")
    }
  }
  invisible(isTRUE((w$states$COMPLETE %||% 0) + (w$states$MOVED %||% 0) == w$total))
}

UNFINISHED <- c("PENDING", "DEFERRED", "RUNNING")

ended_of <- function(states) sum(unlist(states[setdiff(names(states), UNFINISHED)]))

shows <- function(progress) progress %||% getOption("rpipe.progress", interactive())

# new_bar is a progress bar, which appears once something has taken a while.
new_bar <- function(shown, begin = Sys.time()) {
  id <- NULL
  frame <- environment()
  list(
    shown = shown,
    update = function(done, total) {
      if (!shown || is.null(total) || (is.null(id) && Sys.time() - begin < 0.5)) {
        return(NULL)
      }
      if (is.null(id)) {
        id <<- cli::cli_progress_bar("tasks", total = total, clear = TRUE, .envir = frame, .auto_close = FALSE)
      }
      cli::cli_progress_update(set = done, total = total, id = id, .envir = frame)
    },
    close = function() {
      if (!is.null(id)) cli::cli_progress_done(id = id, .envir = frame)
      id <<- NULL
    }
  )
}
