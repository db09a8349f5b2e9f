# Handles: what was submitted, by its id. They hold nothing else that the server does not
# know, so that they survive the session.

new_handle <- function(con, job) {
  structure(
    list(id = if (isTRUE(job$array)) job$id else paste0(job$id, ".1"), job = job$id, n = job$n, array = isTRUE(job$array), name = job$name, url = con$url),
    class = "rpipe_handle"
  )
}

# ids_of are the ids of handles, of lists of them, or ids themselves.
ids_of <- function(x) {
  if (inherits(x, "rpipe_handle")) {
    return(x$id)
  }
  if (is.data.frame(x)) x <- x$id
  if (is.list(x)) {
    return(unlist(lapply(x, ids_of), use.names = FALSE) %||% character())
  }
  if (!is.character(x)) fail("What rp_submit() or rp_call() returned is needed here, or ids; this is ", class(x)[1L], ".")
  bad <- x[!is_id(x)]
  if (length(bad)) fail("\"", bad[1L], "\" is not an id; rp_restore() finds tasks by name.")
  x
}

one_id <- function(x) {
  id <- ids_of(x)
  if (length(id) != 1L) fail("One handle or id is needed here, not ", length(id), ".")
  id
}

# is_task reports whether an id is that of a task, not of a job.
is_task <- function(id) grepl(".", id, fixed = TRUE)

path_of <- function(id, ...) at(if (is_task(id)) "tasks" else "jobs", id, ...)

#' @export
print.rpipe_handle <- function(x, ...) {
  cat("<rpipe ", if (x$array) paste0("job of ", x$n, " tasks ") else "task ", x$id, if (!is.null(x$name)) paste0(" \"", x$name, "\""), ">\n", sep = "")
  state <- tryCatch(
    paste(unlist(lapply(count_states(rp_status(x)), format)), collapse = ", "),
    error = function(e) NULL
  )
  if (!is.null(state)) cat(state, if (!is.null(x$sent)) paste0("; ", bytes_text(x$sent), " were sent"), "\n", sep = "")
  invisible(x)
}

count_states <- function(states) {
  counts <- table(states)
  if (length(states) == 1L) names(counts) else paste(counts, names(counts))
}

#' Find what was submitted again
#'
#' @param x An id, or a name: then the newest with that name.
#' @param con A connection. Without it, the session's.
#' @return A handle.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_submit(1 + 1, name = "sum")
#' rp_result(rp_restore("sum"))
#' rp_stop()
#' @export
rp_restore <- function(x, con = NULL) {
  con <- connection(con)
  check_string(x, "x")
  if (!is_id(x)) {
    jobs <- GET(con, "/v1/jobs", list(name = x, limit = 1))$jobs
    if (!length(jobs)) fail("No task or job is named \"", x, "\".", class = "rpipe_not_found")
    return(new_handle(con, jobs[[1L]]))
  }
  handle <- new_handle(con, GET(con, at("jobs", sub("[.].*", "", x))))
  if (is_task(x)) {
    handle$id <- x
    handle$array <- FALSE
    handle$n <- 1L
  }
  handle
}

#' List tasks or jobs
#'
#' @param status States, such as `"ERROR"`; `"unfinished"` and `"failed"` stand for several.
#' @param since A time, or text such as `"1h"`: submitted then or later.
#' @param label A label, `"name=value"`.
#' @param name,queue,job,worker Of these alone.
#' @param text Words that names, labels or error messages begin with.
#' @param limit How many at most; the newest come first.
#' @param what `"tasks"` or `"jobs"`.
#' @param con A connection. Without it, the session's.
#' @return A data.frame with a row for each.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_wait(rp_submit(stop("no"), labels = c(project = "a")))
#' rp_list(status = "failed", label = "project=a")
#' rp_stop()
#' @export
rp_list <- function(status = NULL, since = NULL, label = NULL, name = NULL, queue = NULL, job = NULL,
                    worker = NULL, text = NULL, limit = 100, what = c("tasks", "jobs"), con = NULL) {
  con <- connection(con)
  what <- match.arg(what)
  if (!is.null(job)) job <- sub("[.].*", "", one_id(job))
  rows <- pages(con, paste0("/v1/", what), what, limit, list(
    state = if (length(status)) paste(status, collapse = ","), since = time_text(since), label = label, name = name,
    queue = queue, job = job, worker = worker, text = text
  ))
  if (what == "jobs") jobs_frame(rows) else tasks_frame(rows)
}

# pages asks for pages of a list, of as many rows as the server gives at once, until there
# are no more, or limit rows.
pages <- function(con, path, field, limit = Inf, query = list(), most = 10000) {
  rows <- list()
  query$limit <- min(limit, most)
  repeat {
    page <- GET(con, path, query)
    rows <- c(rows, page[[field]])
    if (is.null(page$`next`) || length(rows) >= limit) break
    query$after <- page$`next`
  }
  utils::head(rows, limit)
}

text_column <- function(rows, name) vapply(rows, function(r) as.character(r[[name]] %||% NA_character_), "")

number_column <- function(rows, name) vapply(rows, function(r) as.numeric(r[[name]] %||% NA_real_), 0)

time_column <- function(rows, name) time_of(text_column(rows, name))

tasks_frame <- function(rows) {
  data.frame(
    id = text_column(rows, "id"), name = text_column(rows, "name"), state = text_column(rows, "state"),
    queue = text_column(rows, "queue"), submitted = time_column(rows, "submitted"),
    started = time_column(rows, "started"), ended = time_column(rows, "ended"),
    attempt = number_column(rows, "attempt"), worker = text_column(rows, "worker"),
    message = vapply(rows, function(r) r$failure$message %||% NA_character_, "")
  )
}

jobs_frame <- function(rows) {
  data.frame(
    id = text_column(rows, "id"), name = text_column(rows, "name"), state = text_column(rows, "state"),
    n = number_column(rows, "n"), queue = text_column(rows, "queue"), submitted = time_column(rows, "created"),
    started = time_column(rows, "started"), ended = time_column(rows, "ended")
  )
}
