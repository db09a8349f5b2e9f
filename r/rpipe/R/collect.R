# task_error is the condition of a task that has no value.
task_error <- function(id, state, failure, element = NULL) {
  f <- failure %||% list()
  cause <- f$message %||% ""
  if (!nzchar(cause)) {
    cause <- switch(state, CANCELLED = "it was cancelled", TIMEOUT = "it took longer than its time limit", MISSING = "there is no such task", f$cause %||% "it has no value")
  }
  where <- if (length(element)) element_text(element) else paste("task", id)
  classes <- unlist(f$class %||% f$classes)
  structure(
    class = unique(c(paste0("rp_", tolower(state)), "rp_task_error", classes, "error", "condition")),
    list(
      message = if (state == "ERROR") paste0(where, ": ", cause) else paste0(where, " is ", state, ": ", cause),
      call = parse_call(f$call), id = id, state = state, cause = f$cause, element = element, traceback = users_frames(unlist(f$traceback))
    )
  )
}

# users_frames are those of a traceback that are not what rpipe runs.
users_frames <- function(frames) {
  ours <- which(grepl("^(eval|fun|work|withCallingHandlers|tryCatch[A-Za-z]*|doTryCatch)\\(.*([.]rp_|one, env|work\\(\\))", frames) | frames %in% c("work()", "(function() NULL)()"))
  if (length(ours)) frames[-seq_len(max(ours))] else frames
}

element_text <- function(at) {
  if (length(at) == 1L) paste("element", at) else paste0("elements ", at[1L], " to ", at[length(at)])
}

parse_call <- function(text) {
  if (is.null(text) || !nzchar(text) || grepl(".rp_", text, fixed = TRUE)) {
    return(NULL)
  }
  tryCatch(parse(text = text, keep.source = FALSE)[[1L]], error = function(e) NULL)
}

#' @export
print.rp_task_error <- function(x, ...) {
  cat("<", class(x)[1L], ": ", conditionMessage(x), ">\n", sep = "")
  if (length(x$traceback)) cat("Traceback:\n", paste0("  ", x$traceback, "\n"), sep = "")
  invisible(x)
}

# results_of is the list of results of a job: list(id, n, element, state, value, failure).
results_of <- function(con, job, from = NULL, limit = NULL) {
  unserialize(http(con, "GET", at("jobs", job, "results"), list(from = from, limit = limit), accept = TYPE_R, long = Inf))
}

# value_of_result is the value of a result, or its error.
value_of_result <- function(r, id) {
  if (is.null(r)) {
    return(task_error(id, "PENDING", list(message = "it has not ended; rp_wait() waits for it")))
  }
  if (identical(r$state, "COMPLETE")) unserialize(r$value) else task_error(id, r$state, r$failure)
}

# fetch_values are the values of ids, or the errors in their place.
fetch_values <- function(con, ids) {
  values <- list()
  for (id in ids) {
    if (is_task(id)) {
      r <- results_of(con, sub("[.].*", "", id), as.integer(sub(".*[.]", "", id)), 1L)
      new <- stats::setNames(list(value_of_result(r[[1L]], id)), NA)
    } else {
      r <- results_of(con, id)
      new <- lapply(seq_along(r), function(i) value_of_result(r[[i]], paste0(id, ".", i)))
      names(new) <- vapply(r, function(x) x$element %||% "", "")
    }
    values <- c(values, new)
  }
  values
}

#' Collect results
#'
#' `rp_result()` is the value of one task; `rp_results()` those of many, in a list.
#' Both wait. A task that was retried answers with the last retry.
#'
#' @param x A handle, a list of handles, or ids. Of an array job the results of all its
#'   tasks.
#' @param on_error Where a task has no value: `"stop"` is an error, `"continue"` puts the
#'   error in the value's place, `"null"` puts `NULL` there. `rp_result()`: whether that
#'   is an error.
#' @param wait Whether to wait. Otherwise a task that has not ended counts as one without
#'   a value.
#' @param timeout Seconds to wait.
#' @param progress Whether there is a progress bar.
#' @param con A connection. Without it, the session's.
#' @return The value, or a list of values. Errors are of class `rp_task_error`, with
#'   `state`, `cause`, `traceback` and `id`, and keep the classes of R's condition.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_result(rp_submit(6 * 7))
#' rp_results(list(rp_submit(1), rp_submit(stop("no"))), on_error = "continue")
#' rp_stop()
#' @export
rp_result <- function(x, on_error = c("stop", "continue", "null"), wait = TRUE, timeout = Inf, con = NULL) {
  on_error <- match.arg(on_error)
  one_id(x)
  values <- rp_results(x, on_error, wait, timeout, progress = FALSE, con = con)
  if (inherits(x, "rpipe_handle") && x$array || !is_task(one_id(x)) && length(values) != 1L) values else values[[1L]]
}

#' @rdname rp_result
#' @export
rp_results <- function(x, on_error = c("stop", "continue", "null"), wait = TRUE, timeout = Inf, progress = NULL, con = NULL) {
  on_error <- match.arg(on_error)
  con <- connection(con)
  ids <- ids_of(x)
  if (wait) rp_wait(ids, timeout, if (on_error == "stop") "first_error" else "all", progress, con)
  values <- fetch_values(con, ids)
  failed <- which(vapply(values, inherits, NA, "rp_task_error"))
  if (on_error == "stop" && length(failed)) {
    ended <- Filter(function(i) !values[[i]]$state %in% UNFINISHED, failed)
    stop(values[[c(ended, failed)[1L]]])
  }
  if (on_error == "null") values[failed] <- list(NULL)
  given <- if (is.list(x) && !inherits(x, "rpipe_handle") && length(x) == length(values)) names(x)
  named <- names(values)
  names(values) <- given %||% if (any(nzchar(named) & !is.na(named))) named
  values
}

#' Cancel, retry or delete tasks
#'
#' @param x A handle, a list of handles, or ids; of a job all its tasks.
#' @param queue,priority,front,memory,timeout What is to be different, as of
#'   [rp_options()].
#' @param con A connection. Without it, the session's.
#' @return `rp_retry()`: the handle, or list of handles, of what takes their place.
#'   The others: a data.frame with a row for each, `ok`, the state, and why not.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' h <- rp_submit(Sys.sleep(60))
#' rp_cancel(h)
#' rp_delete(h)
#' rp_stop()
#' @export
rp_cancel <- function(x, con = NULL) outcomes(connection(con), "/v1/cancel", list(), x)

#' @rdname rp_cancel
#' @export
rp_delete <- function(x, con = NULL) outcomes(connection(con), "/v1/delete", list(), x)

#' @rdname rp_cancel
#' @export
rp_retry <- function(x, queue = NULL, priority = NULL, front = NULL, memory = NULL, timeout = NULL, con = NULL) {
  con <- connection(con)
  done <- outcomes(con, "/v1/retry", list(queue = queue, priority = priority, front = front, memory = memory, timeout = duration(timeout)), x, once = TRUE)
  if (!all(done$ok)) {
    bad <- done[!done$ok, ][1L, ]
    fail(bad$id, " cannot be tried again: ", bad$message, class = "rpipe_no_retry")
  }
  handles <- lapply(done$new_id, rp_restore, con = con)
  if (length(handles) == 1L) handles[[1L]] else handles
}

outcomes <- function(con, path, fields, x, once = FALSE) {
  ids <- ids_of(x)
  if (!length(ids)) {
    rows <- list()
  } else {
    rows <- POST(con, path, c(list(ids = as.list(ids)), fields), once = once)$outcomes
  }
  out <- data.frame(
    id = text_column(rows, "id"), ok = vapply(rows, function(r) isTRUE(r$ok), NA), state = text_column(rows, "state"),
    message = text_column(rows, "message"), new_id = text_column(rows, "new_id")
  )
  if (once) out else invisible(out[setdiff(names(out), "new_id")])
}
