# Maps: a function over many elements. Elements travel in groups, so that a task takes
# long enough to be worth its way; how long one takes is found out by tasks that stop
# after a moment and give back what they have not done.

PROBE <- 0.05   # seconds after which a task of the first round stops
TARGET <- 0.075 # seconds that a group should take
KEPT <- 86400   # seconds that records of maps stay
JOB_BYTES <- 8e6 # of chunks that are submitted together

#' Map a function over elements
#'
#' Like [lapply()] and its kind, on the workers of the server. Small elements travel in
#' groups, whose size is found out as they run; a worker that is ready takes the next, so
#' that nobody waits for a share that was dealt out before. Ctrl-C cancels what has not
#' been done; so does an error. What has been done stays for a day: [rp_resume()] goes on.
#' A group whose R process died is run again by itself; where that was so, a message says.
#'
#' @param X,.x,.d A vector or list; `rp_apply()`: a data.frame (or matrix), whose rows
#'   are arguments, by the names of the columns; `rp_chunked()`: a data.frame.
#' @param FUN,.f A function, its name, or a formula such as `~ .x + 1`.
#' @param ... Further arguments of the function.
#' @param on_error `"stop"`: the first error cancels the rest and is an error here.
#'   `"continue"`: the error takes the place of the value. `"null"`: `NULL` does.
#' @param seed `TRUE` or a number: each element draws from a random stream of its own
#'   (L'Ecuyer-CMRG), so that results do not depend on workers and groups. `TRUE` begins
#'   where this session's random numbers are, as `set.seed()` says.
#' @param progress Whether there is a progress bar. Without it, in interactive sessions.
#' @param group How many elements a task has. Without it, that is found out.
#' @param globals,packages,con As of [rp_submit()].
#' @param options What [rp_options()] returns: queue, timeout, and so on, of the tasks.
#' @return `rp_lapply()`, `rp_map()`, `rp_apply()`: a list, with the names of `X`.
#'   `rp_map_dfr()`, `rp_chunked()`: the values, bound by rows where they are data.frames.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 2, data = tempfile("rpipe"))
#' rp_map(1:3, ~ .x^2)
#' rp_map_dfr(1:2, function(i) data.frame(i = i, r = rnorm(1)), seed = 42)
#' rp_apply(data.frame(a = 1:2, b = 3:4), function(a, b) a * b)
#' rp_chunked(mtcars, function(d) d[d$mpg > 25, ], rows = 10)
#' rp_stop()
#' @export
rp_lapply <- function(X, FUN, ..., on_error = c("stop", "continue", "null"), seed = FALSE, progress = NULL,
                      group = NULL, globals = TRUE, packages = NULL, options = rp_options(), con = NULL) {
  if (!is.vector(X) || is.object(X)) X <- as.list(X)
  map_run(X, FUN, list(...), match.arg(on_error), seed, progress, group, globals, packages, options, con)
}

#' @rdname rp_lapply
#' @export
rp_map <- function(.x, .f, ..., on_error = c("stop", "continue", "null"), seed = FALSE, progress = NULL,
                   group = NULL, globals = TRUE, packages = NULL, options = rp_options(), con = NULL) {
  if (!is.vector(.x) || is.object(.x)) .x <- as.list(.x)
  map_run(.x, .f, list(...), match.arg(on_error), seed, progress, group, globals, packages, options, con)
}

#' @rdname rp_lapply
#' @export
rp_map_dfr <- function(.x, .f, ..., on_error = c("stop", "null"), seed = FALSE, progress = NULL,
                       group = NULL, globals = TRUE, packages = NULL, options = rp_options(), con = NULL) {
  if (!is.vector(.x) || is.object(.x)) .x <- as.list(.x)
  bind_rows(map_run(.x, .f, list(...), match.arg(on_error), seed, progress, group, globals, packages, options, con))
}

#' @rdname rp_lapply
#' @export
rp_apply <- function(.d, .f, ..., on_error = c("stop", "continue", "null"), seed = FALSE, progress = NULL,
                     group = NULL, globals = TRUE, packages = NULL, options = rp_options(), con = NULL) {
  if (is.matrix(.d)) .d <- as.data.frame(.d)
  if (!is.data.frame(.d)) fail("`.d` must be a data.frame or a matrix: its rows are arguments.")
  map_run(.d, .f, list(...), match.arg(on_error), seed, progress, group, globals, packages, options, con)
}

#' @rdname rp_lapply
#' @param rows Rows of a chunk. Without it, 50,000, or fewer so that each worker has some.
#' @export
rp_chunked <- function(.d, .f, ..., rows = NULL, on_error = c("stop", "null"), seed = FALSE, progress = NULL,
                       globals = TRUE, packages = NULL, options = rp_options(), con = NULL) {
  if (!is.data.frame(.d)) fail("`.d` must be a data.frame.")
  con <- connection(con)
  n <- nrow(.d)
  rows <- rows %||% max(1, min(50000, ceiling(n / (4 * workers_of(con)))))
  chunks <- structure(
    list(n = ceiling(n / rows), cut = function(i) rows_of(.d, seq.int((i - 1) * rows + 1, min(i * rows, n)))),
    class = "rpipe_chunks"
  )
  bind_rows(map_run(chunks, .f, list(...), match.arg(on_error), seed, progress, 1L, globals, packages, options, con))
}

# rows_of are rows of a data.frame. A plain one with row numbers is cut column by column,
# which `[` does several times as slowly.
rows_of <- function(d, at) {
  if (!identical(class(d), "data.frame") || .row_names_info(d) > 0L || anyDuplicated(names(d)) ||
    !all(vapply(d, function(x) is.null(dim(x)), NA))) {
    return(d[at, , drop = FALSE])
  }
  structure(lapply(d, `[`, at), class = "data.frame", row.names = .set_row_names(length(at)))
}

bind_rows <- function(values) {
  values <- values[!vapply(values, is.null, NA)]
  if (!length(values)) {
    return(data.frame())
  }
  if (!all(vapply(values, is.data.frame, NA))) {
    if (all(vapply(values, is.atomic, NA))) {
      return(unlist(values))
    }
    fail("Values are bound by rows where all are data.frames; value ", which(!vapply(values, is.data.frame, NA))[1L], " is not.")
  }
  names(values) <- NULL
  if (inherits(values[[1L]], "data.table") && requireNamespace("data.table", quietly = TRUE)) {
    return(getExportedValue("data.table", "rbindlist")(values, use.names = TRUE, fill = TRUE))
  }
  if (requireNamespace("vctrs", quietly = TRUE)) {
    return(getExportedValue("vctrs", "vec_rbind")(!!!values))
  }
  do.call(rbind, values)
}

# map_run is a map: it submits, follows, and puts the values in their places.
map_run <- function(X, fun, args, on_error, seed, progress, group, globals, packages, options, con) {
  con <- connection(con)
  m <- new_map(con, X, fun, args, on_error, seed, group, globals, packages, options)
  if (m$n > 0L) run_map(m, shows(progress))
  map_values(m)
}

new_map <- function(con, X, fun, args, on_error, seed, group, globals, packages, options) {
  m <- new.env(parent = emptyenv())
  m$con <- con
  m$X <- X
  m$rows <- is.data.frame(X)
  m$cut <- if (inherits(X, "rpipe_chunks")) X$cut
  m$n <- if (m$rows) nrow(X) else if (is.null(m$cut)) length(X) else X$n
  m$names <- if (!m$rows && is.null(m$cut)) names(X)
  m$on_error <- on_error
  m$seeds <- streams_of(seed, m$n)
  m$id <- options$id %||% new_id()
  m$group <- group
  first <- if (m$rows) {
    columns <- lapply(names(X), function(n) call("[[", call("[[", quote(.rp_x), n), quote(.rp_i)))
    stats::setNames(columns, names(X))
  } else {
    quote(.rp_x[[.rp_i]])
  }
  call <- call_plan(con, fun, args, globals, packages, first)
  call$plan$catch <- on_error != "stop"
  call$plan$budget <- PROBE
  m$call <- call
  m$options <- unclass(options)
  m$options$id <- NULL
  m$options$result_ttl <- m$options$result_ttl %||% KEPT
  m$values <- vector("list", m$n)
  m$done <- logical(m$n)
  m$jobs <- character()
  m$active <- list() # numbers of elements by the id of a task of the first round
  m$open <- list()   # numbers of elements by the id of a job of the second
  m
}

# streams_of are seeds: one of L'Ecuyer's streams for each element, or NULL.
streams_of <- function(seed, n) {
  if (is.null(seed) || identical(seed, FALSE)) {
    return(NULL)
  }
  env <- globalenv()
  if (isTRUE(seed)) {
    seed <- sample.int(.Machine$integer.max, 1L)
  } else if (!is.numeric(seed) || length(seed) != 1L || is.na(seed)) {
    fail("`seed` must be TRUE, FALSE or a number.")
  }
  old <- base::get0(".Random.seed", env, inherits = FALSE)
  on.exit(restore_seed(old))
  set.seed(seed, kind = "L'Ecuyer-CMRG", normal.kind = "Inversion", sample.kind = "Rejection")
  stream <- base::get(".Random.seed", env)
  all <- vector("list", n)
  for (i in seq_len(n)) {
    all[[i]] <- stream
    stream <- parallel::nextRNGStream(stream)
  }
  all
}

# workers_of is how many R processes there may be: asked for once in a while.
workers_of <- function(con) {
  if (is.null(con$workers) || Sys.time() - con$workers_at > 5) {
    all <- GET(con, "/v1/workers")$workers
    con$workers <- max(1, sum(number_column(all, "max"), na.rm = TRUE))
    con$workers_at <- Sys.time()
  }
  con$workers
}

# elements_at are the elements of these numbers, as a group has them.
elements_at <- function(m, at) {
  if (m$rows) {
    as.list(m$X[at, , drop = FALSE])
  } else if (is.null(m$cut)) {
    m$X[at]
  } else {
    lapply(at, m$cut)
  }
}

# send_chunks submits chunks in jobs of some megabytes, so that workers begin with the
# first while the next are cut and sent, and takes what they have done meanwhile. The
# first job has a chunk for each worker.
send_chunks <- function(m, workers) {
  begin <- 1L
  size <- as.numeric(utils::object.size(m$cut(1L)))
  first <- min(m$n, workers)
  each <- max(workers, floor(JOB_BYTES / max(size, 1)))
  while (begin <= m$n) {
    end <- min(m$n, begin - 1L + if (begin == 1L) first else each)
    send_groups(m, as.list(begin:end), probe = FALSE)
    begin <- end + 1L
    oldest <- names(m$open)[1L]
    if (isTRUE(GET(m$con, at("jobs", oldest))$done)) take_jobs(m, oldest)
  }
}

# send_groups submits elements in groups: a list of their numbers. A probe stops early.
send_groups <- function(m, groups, probe) {
  over <- lapply(groups, function(at) {
    list(
      at = at, x = elements_at(m, at),
      seed = if (!is.null(m$seeds)) m$seeds[[at[1L]]], whole = !probe
    )
  })
  options <- m$options
  options$id <- if (length(m$jobs)) new_id() else m$id
  options$labels <- c(options$labels, list(rp_map = m$id, rp_n = as.character(m$n)))
  plan <- m$call$plan
  plan$job <- options$id
  job <- submit(
    m$con, run_group, c(list(.rp_plan = plan), m$call$large), options, m$call$packages, "The map", over
  )
  m$jobs <- c(m$jobs, job$job)
  if (probe) {
    m$active[paste0(job$job, ".", seq_along(groups))] <- groups
  } else {
    m$open[[job$job]] <- groups
  }
  job
}

# cut cuts numbers into groups of a size.
cut_groups <- function(at, size) {
  if (size >= length(at)) {
    return(list(at))
  }
  unname(split(at, (seq_along(at) - 1L) %/% size))
}

run_map <- function(m, progress) {
  finished <- FALSE
  bar <- new_bar(progress)
  on.exit({
    bar$close()
    if (!finished) abandon(m)
  })
  m$begin <- Sys.time()
  workers <- workers_of(m$con)
  all <- seq_len(m$n)
  if (!is.null(m$cut)) {
    send_chunks(m, workers)
  } else if (is.null(m$group)) {
    send_groups(m, cut_groups(all, ceiling(m$n / min(m$n, 2 * workers))), probe = TRUE)
  } else {
    send_groups(m, cut_groups(all, max(1, m$group)), probe = FALSE)
  }
  follow_map(m, bar, workers)
  check_done(m)
  finished <- TRUE
  tell_retried(m)
}

# follow_map waits until all is done. What tasks of the first round have left is
# submitted as soon as one has ended.
follow_map <- function(m, bar, workers) {
  pause <- if (bar$shown) 0.3 else 20
  repeat {
    if (length(m$active)) {
      ids <- c(names(m$active), names(m$open))
      all <- length(m$open) == 0L && !isTRUE(m$waited)
      w <- wait_once(m$con, ids, if (all) "all" else "any", if (all) 2 * PROBE else pause)
      m$waited <- TRUE
      take_probes(m, workers)
      if (length(m$open)) take_jobs(m, intersect(unlist(w$ended), names(m$open)))
    } else if (length(m$open)) {
      w <- wait_once(m$con, names(m$open), if (m$on_error == "stop") "first_error" else "any", pause)
      if (m$on_error == "stop" && length(w$failed)) {
        take_jobs(m, names(m$open))
      } else {
        take_jobs(m, intersect(unlist(w$ended), names(m$open)))
      }
    } else {
      break
    }
    if (any(unlist(w$missing) %in% names(m$active))) {
      fail("Task ", w$missing[[1L]], " of this map is no more: somebody has deleted it.", class = "rpipe_deleted")
    }
    bar$update(sum(m$done) + ended_elements(m, w), m$n)
  }
}

# check_done is an error where an element has neither a value nor an error.
check_done <- function(m) {
  left <- which(!m$done)
  if (length(left)) {
    fail(
      "There is nothing of ", element_text(left[1L]), if (length(left) > 1L) paste(" and", length(left) - 1L, "more"),
      ": somebody has deleted or retried tasks of this map meanwhile.",
      class = "rpipe_deleted"
    )
  }
}

# ended_elements is about how many elements of jobs that are not taken yet have been done.
ended_elements <- function(m, w) {
  if (!length(m$open)) {
    return(0)
  }
  tasks <- sum(lengths(m$open))
  of <- sum(lengths(unlist(m$open, recursive = FALSE)))
  min(of, of * max(0, ended_of(w$states) - length(m$active)) / tasks)
}

# take_probes takes what tasks of the first round have done, and sends what they left.
take_probes <- function(m, workers) {
  ids <- names(m$active)
  for (job in unique(sub("[.].*", "", ids))) {
    for (r in results_of(m$con, job)) {
      if (is.null(r)) next
      id <- paste0(job, ".", r$n)
      at <- m$active[[id]]
      if (is.null(at)) next
      m$active[[id]] <- NULL
      left <- take_result(m, r, at)
      if (length(left$at)) send_groups(m, cut_groups(left$at, size_of(left$at, left$each, workers)), probe = FALSE)
    }
  }
}

# size_of is how many elements a group should have, of which each takes so many seconds.
size_of <- function(at, each, workers) {
  if (!is.finite(each) || each <= 0) {
    return(max(1, ceiling(length(at) / 2)))
  }
  balanced <- max(length(at) / (4 * workers), 0.01 / each)
  max(1, floor(min(TARGET / each, balanced)))
}

# take_jobs takes the results of jobs of the second round.
take_jobs <- function(m, jobs) {
  for (job in jobs) {
    groups <- m$open[[job]]
    results <- results_of(m$con, job)
    m$open[[job]] <- NULL
    for (r in results) {
      if (is.null(r)) next
      left <- take_result(m, r, groups[[r$n]])
      if (length(left$at)) send_groups(m, cut_groups(left$at, ceiling(length(left$at) / 2)), probe = FALSE)
    }
  }
}

# take_result puts the values of a group in their places. It returns what is left of it,
# and how long one element takes.
take_result <- function(m, r, at) {
  if (identical(r$state, "COMPLETE")) {
    v <- unserialize(r$value)
    done <- v$at
    m$values[done] <- v$values
    for (i in v$errors) m$values[done[i]] <- list(element_error(m, v$values[[i]], done[i], r$id))
    m$done[done] <- TRUE
    return(list(at = at[-seq_along(done)], each = v$took / length(done)))
  }
  if (m$on_error == "stop") {
    element <- if (length(at) == 1L) at
    if (r$state == "ERROR") {
      told <- tryCatch(GET(m$con, at_progress(r$id))$value$element, error = function(e) NULL)
      element <- told %||% element
    }
    m$failed <- task_error(r$id, r$state, r$failure, element %||% at)
    stop(m$failed)
  }
  if (length(at) > 1L && r$state %in% c("DIED", "TIMEOUT")) {
    return(list(at = at, each = Inf)) # one of them did it: the others need not suffer
  }
  error <- task_error(r$id, r$state, r$failure, at)
  m$values[at] <- if (m$on_error == "null") list(NULL) else list(error)
  m$done[at] <- TRUE
  NULL
}

at_progress <- function(id) at("tasks", id, "progress")

element_error <- function(m, e, at, id) {
  if (m$on_error == "null") {
    return(NULL)
  }
  task_error(id, "ERROR", list(message = e$message, class = e$class, call = e$call), at)
}

map_values <- function(m) {
  values <- m$values
  names(values) <- m$names
  values
}

# abandon cancels a map that was interrupted or has failed. What was not submitted yet is
# put there first, so that rp_resume() has all of it.
abandon <- function(m) {
  if (!length(m$jobs)) {
    return(NULL)
  }
  tryCatch(
    {
      ids <- m$jobs
      if (is.null(m$failed)) m$options$delay <- NULL
      left <- setdiff(which(!m$done), c(unlist(m$active), unlist(m$open)))
      outcomes(m$con, "/v1/cancel", list(), ids)
      if (length(left)) {
        m$options$delay <- KEPT
        outcomes(m$con, "/v1/cancel", list(), send_groups(m, cut_groups(left, ceiling(length(left) / 8)), probe = FALSE))
      }
      kept <- sum(m$done) + complete_elements(m)
      cli::cli_inform(c(
        "!" = "Cancelled: {kept} of {m$n} elements had been done, which are kept.",
        "i" = "{.code rp_resume(\"{m$id}\")} goes on, in this session or another."
      ))
    },
    error = function(e) cli::cli_warn(c("What is running could not be cancelled: {conditionMessage(e)}", i = "rp_cancel(\"{m$id}\")"))
  )
}

# complete_elements is how many were done that have not been taken.
complete_elements <- function(m) {
  n <- 0L
  for (job in names(m$open)) {
    states <- GET(m$con, at("jobs", job))$states
    n <- n + round((states$COMPLETE %||% 0) * length(unlist(m$open[[job]])) / length(m$open[[job]]))
  }
  n
}

# tell_retried says which groups were run again, if any.
tell_retried <- function(m) {
  if (Sys.time() - m$begin < 1) {
    return(NULL)
  }
  lost <- character()
  for (job in m$jobs) {
    rows <- GET(m$con, at("jobs", job, "tasks"), list(limit = 10000))$tasks
    for (r in rows) {
      if ((r$attempt %||% 1) > 1) lost <- c(lost, r$id)
    }
  }
  if (length(lost)) {
    past <- unlist(lapply(utils::head(lost, 5L), function(id) GET(m$con, at("tasks", id))$past), recursive = FALSE)
    why <- unique(gsub("_", " ", text_column(past, "cause")))
    cli::cli_inform(c(i = "{length(lost)} task{?s} {?was/were} run again, since {?its/their} first attempt ended by: {why}. The results are complete."))
  }
}

#' Go on with a map that was interrupted
#'
#' What was done is not done again. It works in another session, too.
#'
#' @param id The id that the message of the interrupted call said, or a handle.
#' @param on_error As of [rp_lapply()].
#' @param progress Whether there is a progress bar.
#' @param con A connection. Without it, the session's.
#' @return A list with an element for each of the map's, as [rp_lapply()] returns it; names
#'   are not kept.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' h <- tryCatch(rp_lapply(1:3, function(i) if (i == 3) stop("no") else i), error = function(e) e)
#' rp_resume(rp_list(what = "jobs")$id[1], on_error = "null")
#' rp_stop()
#' @export
rp_resume <- function(id, on_error = c("stop", "continue", "null"), progress = NULL, con = NULL) {
  on_error <- match.arg(on_error)
  con <- connection(con)
  first <- GET(con, at("jobs", sub("[.].*", "", one_id(id))))
  map <- first$labels$rp_map
  if (is.null(map)) fail("Job ", first$id, " is not of rp_lapply() or its kind; rp_retry() tries tasks again.")
  jobs <- pages(con, "/v1/jobs", "jobs", query = list(label = paste0("rp_map=", map), order = "oldest"))
  jobs <- Filter(function(j) is.null(j$retried_from), jobs)
  ids <- text_column(jobs, "id")
  m <- new.env(parent = emptyenv())
  m$con <- con
  m$n <- as.integer(first$labels$rp_n)
  m$on_error <- on_error
  m$values <- vector("list", m$n)
  m$done <- logical(m$n)
  for (j in ids) POST(con, at("jobs", j, "resume"), once = TRUE)
  rp_wait(ids, until = "all", progress = progress, con = con)
  for (j in ids) {
    for (r in results_of(con, j)) {
      if (identical(r$state, "COMPLETE")) {
        take_result(m, r, integer())
      } else if (on_error == "stop") {
        stop(task_error(r$id, r$state, r$failure))
      } else if (on_error == "continue") {
        m$failed <- c(m$failed, list(task_error(r$id, r$state, r$failure)))
      }
    }
  }
  missing <- which(!m$done)
  if (length(missing) && on_error == "continue" && length(m$failed)) m$values[missing] <- m$failed[1L]
  if (length(missing) && on_error == "stop") {
    fail("Elements ", paste(utils::head(missing, 5L), collapse = ", "), " were never submitted: the session ended before. Call rp_lapply() for them again.")
  }
  m$values
}
