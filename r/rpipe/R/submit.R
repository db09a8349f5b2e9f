# Values of more than this many bytes are put before a submission; the server keeps each
# once, by its hash.
MAX_SENT <- 256 * 1024

#' Submit an expression or a call
#'
#' Returns a handle at once; see [rp_result()], [rp_status()] and others for what can be
#' done with it. The variables, functions and packages that the code refers to are found
#' and sent along; see [rp_globals()]. A handle among the variables or arguments stands
#' for the result of its task: this task then begins when that one is complete.
#'
#' @param expr An expression. It is evaluated by a worker, in an environment of its own.
#' @param fun A function, or the name of one such as `"stats::rnorm"`.
#' @param args A list of arguments, in which handles stand for results, and what
#'   [rp_value()] returns for a value that is stored.
#' @param ... Options of the task, by name: see [rp_options()].
#' @param globals `TRUE` to find what the code refers to, `FALSE` for nothing, names of
#'   variables, or a list of values by name.
#' @param packages Packages to attach, beside those that are found.
#' @param con A connection. Without it, the session's.
#' @return A handle. Printing it shows the state, and how much was sent.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' x <- 20
#' a <- rp_submit(x + 1)
#' b <- rp_call(function(y) y * 2, list(a))
#' rp_result(b)
#' rp_stop()
#' @export
rp_submit <- function(expr, ..., globals = TRUE, packages = NULL, con = NULL) {
  code <- substitute(expr)
  env <- parent.frame()
  submit_expr(code, env, options_of(...), globals, packages, connection(con))
}

submit_expr <- function(code, env, options, globals, packages, con) {
  code <- tryCatch(utils::removeSource(code), error = function(e) code)
  found <- globals_of(code, env, globals, packages)
  parts <- apart(con, found$globals)
  plan <- list(expr = code, globals = parts$small, functions = with_functions(found$globals))
  submit(con, run_call, c(list(.rp_plan = plan), parts$large), options, found$packages, "rp_submit()")
}

#' @rdname rp_submit
#' @export
rp_call <- function(fun, args = list(), ..., globals = TRUE, packages = NULL, con = NULL) {
  con <- connection(con)
  if (!is.list(args)) fail("`args` must be a list.")
  call <- call_plan(con, fun, args, globals, packages)
  submit(con, run_call, c(list(.rp_plan = call$plan), call$large), options_of(...), call$packages, "rp_call()")
}

# call_plan is a call of a function with its arguments: those that are large or stand for
# results are variables of their own.
call_plan <- function(con, fun, args, globals, packages, first = NULL) {
  fun <- function_of(fun)
  found <- globals_of(fun, NULL, globals, packages)
  parts <- apart(con, found$globals)
  refs <- argument_refs(args)
  large <- parts$large
  for (i in seq_along(args)) {
    v <- args[[i]]
    each_function(v, function(f) if (!is.primitive(f)) {
      more <- globals_of(f, NULL, globals)
      for (n in setdiff(names(more$globals), names(parts$small))) parts$small[n] <<- more$globals[n]
      found$packages <<- unique(c(found$packages, more$packages))
    })
    stored <- elsewhere(con, v)
    if (!is.null(stored)) {
      name <- paste0(".rp_arg", i)
      large[[name]] <- stored
      refs[[i]] <- as.symbol(name)
      args[i] <- list(NULL)
    }
  }
  plan <- list(
    fun = found$code, args = args, call = as.call(c(list(quote(.rp_fun)), first, refs)),
    globals = parts$small, functions = with_functions(parts$small)
  )
  list(plan = plan, large = large, packages = found$packages)
}

# function_of takes functions, their names, and purrr's lambdas.
function_of <- function(f, what = "fun") {
  if (is.function(f)) {
    return(f)
  }
  if (inherits(f, "formula")) {
    return(lambda(f))
  }
  if (is.character(f) && length(f) == 1L) {
    parts <- strsplit(f, ":::?")[[1L]]
    if (length(parts) == 2L) {
      return(getExportedValue(parts[1L], parts[2L]))
    }
    return(match.fun(f))
  }
  fail("`", what, "` must be a function, its name, or a formula such as ~ .x + 1.")
}

lambda <- function(f) {
  if (length(f) != 2L) fail("A formula that stands for a function has one side: ~ .x + 1.")
  g <- eval(parse(text = "function(..., .x = ..1, .y = ..2, . = ..1) NULL", keep.source = FALSE))
  body(g) <- f[[2L]]
  environment(g) <- environment(f)
  g
}

# apart parts globals into those that go with the plan and those that go by themselves:
# large ones, which workers then read once, and results of other tasks.
apart <- function(con, globals) {
  large <- list()
  for (name in names(globals)) {
    stored <- elsewhere(con, globals[[name]])
    if (!is.null(stored)) large[[name]] <- stored
  }
  if (length(globals)) tell_size(globals[!vapply(globals, is_reference, NA)], "The code")
  list(small = globals[setdiff(names(globals), names(large))], large = large)
}

is_reference <- function(v) inherits(v, "rpipe_handle") || inherits(v, "rpipe_value")

# elsewhere is what stands for a value that is not sent here, or NULL.
elsewhere <- function(con, v) {
  if (inherits(v, "rpipe_handle")) {
    return(list(`$task` = v$id))
  }
  if (inherits(v, "rpipe_value")) {
    return(list(`$ref` = v$ref))
  }
  if (!is.function(v) && !is.environment(v) && utils::object.size(v) > MAX_SENT) {
    return(list(`$ref` = put_value(con, v)))
  }
  NULL
}

put_value <- function(con, v) {
  put_bytes(con, serialize(v, NULL, xdr = FALSE, version = 2L))
}

put_bytes <- function(con, bytes) {
  con$sent <- (con$sent %||% 0) + length(bytes)
  document(http(con, "PUT", "/v1/values", body = bytes, type = TYPE_R, long = Inf))$ref
}

#' Store a value once
#'
#' What it returns stands for the value in further submissions, which then do not send it
#' again. Large arguments and globals are stored by themselves: this is for those that
#' many calls share.
#'
#' @param x A value.
#' @param con A connection. Without it, the session's.
#' @return A reference: a hash of the value. The server removes a value that no task
#'   refers to within a day.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' cars <- rp_value(mtcars)
#' rp_result(rp_call(nrow, list(cars)))
#' rp_stop()
#' @export
rp_value <- function(x, con = NULL) {
  con <- connection(con)
  bytes <- serialize(x, NULL, xdr = FALSE, version = 2L)
  ref <- put_bytes(con, bytes)
  con$sent <- NULL
  structure(list(ref = ref, bytes = length(bytes)), class = "rpipe_value")
}

#' @export
print.rpipe_value <- function(x, ...) {
  cat("<rpipe value ", substr(x$ref, 1L, 12L), ", ", bytes_text(x$bytes), ">\n", sep = "")
  invisible(x)
}

with_functions <- function(globals) {
  has <- vapply(globals, function(v) {
    found <- FALSE
    each_function(v, function(f) found <<- TRUE)
    found
  }, NA)
  names(globals)[has]
}

# submit sends a submission and returns its handle.
submit <- function(con, fun, args, options, packages = NULL, what = "The task", over = NULL, n = 1L) {
  id <- options$id %||% new_id()
  if (!is.null(options$key)) id <- options$id
  fields <- c(list(fun = fun, args = args, over = over), if (length(packages)) list(packages = as.list(packages)), options)
  fields$id <- id
  fields <- fields[!vapply(fields, is.null, NA)]
  # Elements go with the submission as long as the server takes so large a body.
  if (!is.null(over) && utils::object.size(over) > (con$info$max_body %||% 64e6) / 2) {
    fields$over <- list(`$ref` = put_value(con, over))
  }
  body <- serialize(fields, NULL, xdr = FALSE, version = 2L)
  if (length(body) > 4e6 && length(serialize(fields$args, NULL, xdr = FALSE)) > 4e6) {
    # A closure whose environment is large does not show in object.size().
    fields$args <- lapply(fields$args, function(v) {
      if (is.list(v) && identical(names(v), "$task") || identical(names(v), "$ref")) v else list(`$ref` = put_value(con, v))
    })
    if (length(body) > getOption("rpipe.warn_size", 100e6)) {
      warning(what, " takes ", bytes_text(length(body)), " along: see rp_globals(), and whether a function was made in a frame that holds much.", call. = FALSE)
    }
    body <- serialize(fields, NULL, xdr = FALSE, version = 2L)
  }
  job <- document(http(con, "POST", "/v1/jobs", body = body, type = TYPE_R))
  handle <- new_handle(con, job)
  handle$sent <- length(body) + (con$sent %||% 0)
  con$sent <- NULL
  handle
}

# Fields of a submission that options may set.
OPTION_NAMES <- c(
  "id", "key", "name", "labels", "environment", "queue", "priority", "front", "depends_on", "run_at", "delay",
  "timeout", "retry", "isolate", "memory", "cpu", "seed", "max_running", "result_ttl"
)

#' Options of tasks
#'
#' @param name A name for people, and to find it by: [rp_restore()].
#' @param labels Labels by name, to filter by: `c(project = "delays")`.
#' @param queue Queue. Without it, `"default"`.
#' @param priority `"high"`, `"normal"` or `"low"`.
#' @param front Whether it goes before all others of the queue.
#' @param depends_on Handles or ids of what must be complete before.
#' @param run_at A time before which it does not begin.
#' @param delay Seconds before it begins.
#' @param timeout Seconds that one attempt may take, or text such as `"1h30m"`.
#' @param retry Attempts that may end in an R error, or a list with `errors`, `timeouts`,
#'   `lost`, `classes`, `delay` and `max_delay`.
#' @param isolate Whether it runs in a process of its own, which ends with it.
#' @param memory Resident memory that it may have: bytes, or text such as `"2GiB"`.
#' @param cpu Seconds of processor time of one attempt.
#' @param seed Seed of random numbers.
#' @param max_running How many of its tasks may run at a time.
#' @param key Of two submissions with the same key the second answers with the first.
#' @param environment Environment that it runs in: see [rp_env_set()].
#' @param result_ttl Seconds that its record stays after its end.
#' @param id An id of one's own making.
#' @return A list.
#' @examples
#' rp_options(queue = "long", timeout = "1h", retry = 3)
#' @export
rp_options <- function(name = NULL, labels = NULL, queue = NULL, priority = NULL, front = NULL,
                       depends_on = NULL, run_at = NULL, delay = NULL, timeout = NULL, retry = NULL,
                       isolate = NULL, memory = NULL, cpu = NULL, seed = NULL, max_running = NULL,
                       key = NULL, environment = NULL, result_ttl = NULL, id = NULL) {
  if (!is.null(labels) && (is.null(names(labels)) || !all(nzchar(names(labels))))) {
    fail("`labels` must have names: c(project = \"delays\").")
  }
  if (is.numeric(retry)) retry <- list(errors = retry)
  if (!is.null(depends_on)) depends_on <- as.list(ids_of(depends_on))
  o <- list(
    id = id, key = key, name = name, labels = if (!is.null(labels)) lapply(as.list(labels), as.character),
    environment = environment, queue = queue, priority = priority, front = front, depends_on = depends_on,
    run_at = time_text(run_at), delay = duration(delay), timeout = duration(timeout),
    retry = retry, isolate = isolate, memory = memory, cpu = duration(cpu),
    seed = seed, max_running = max_running, result_ttl = duration(result_ttl)
  )
  structure(o[!vapply(o, is.null, NA)], class = "rpipe_options")
}

duration <- function(x) {
  if (inherits(x, "difftime")) as.numeric(x, units = "secs") else x
}

options_of <- function(...) {
  o <- list(...)
  if (length(o) == 1L && inherits(o[[1L]], "rpipe_options")) {
    return(unclass(o[[1L]]))
  }
  if (length(o) && (is.null(names(o)) || !all(nzchar(names(o))))) {
    fail("Options of a task have names, such as queue = \"long\": see ?rp_options.")
  }
  unknown <- setdiff(names(o), OPTION_NAMES)
  if (length(unknown)) {
    fail("There is no option `", unknown[1L], "`: see ?rp_options. Arguments of a function go into `args`.")
  }
  unclass(do.call(rp_options, o))
}
