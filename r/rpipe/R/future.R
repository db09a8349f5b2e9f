#' Futures on the task queue
#'
#' `plan(rpipe::rpipe)` has the futures of future, future.apply, furrr, doFuture and others
#' be tasks of the session's server. They wait in its queue, so that creating one never
#' blocks; one whose R process dies is run again. Workers need the package future.
#'
#' @param expr,substitute,envir,lazy,... As of [future::future()].
#' @param workers How many workers others should reckon with, as for the number of chunks.
#'   Without it, the R processes that the server's workers may have.
#' @param options What [rp_options()] returns: queue, timeout, and so on.
#' @param con A connection. Without it, the session's.
#' @return A future.
#' @examplesIf rpipe:::can_serve() && requireNamespace("future", quietly = TRUE)
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' future::plan(rpipe::rpipe)
#' f <- future::future(6 * 7)
#' future::value(f)
#' future::plan(future::sequential)
#' rp_stop()
#' @export
rpipe <- function(expr = NULL, substitute = TRUE, envir = parent.frame(), lazy = FALSE, ...,
                  workers = NULL, options = NULL, con = NULL) {
  if (substitute) expr <- substitute(expr)
  check_workers(workers)
  f <- future::Future(expr = expr, substitute = FALSE, envir = envir, lazy = lazy, ...)
  f$rpipe_options <- options %||% rp_options()
  f$rpipe_con <- con
  f <- structure(f, class = c("RpipeFuture", "MultiprocessFuture", setdiff(class(f), "MultiprocessFuture")))
  if (!lazy) f <- future::run(f)
  invisible(f)
}
class(rpipe) <- c("rpipe", "multiprocess", "future", "function")
attr(rpipe, "factory") <- function(...) RpipeFutureBackend(...) # of future 1.40 and later
attr(attr(rpipe, "factory"), "tweakable") <- TWEAKABLE

# run_future evaluates a future as a worker of future does: its globals are in the global
# environment. What they hide there comes back.
run_future <- eval(bquote(function(.rp_plan, ...) {
  globals <- c(.rp_plan$globals, list(...))
  env <- globalenv()
  hidden <- mget(intersect(as.character(names(globals)), ls(env, all.names = TRUE)), envir = env)
  on.exit({
    rm(list = intersect(as.character(names(globals)), ls(env, all.names = TRUE)), envir = env)
    list2env(hidden, envir = env)
  })
  list2env(globals, envir = env)
  eval(.rp_plan$expr, new.env(parent = env))
}))
environment(run_future) <- globalenv()

#' @exportS3Method future::run
run.RpipeFuture <- function(future, ...) {
  if (has_backends()) {
    return(NextMethod())
  }
  if (!identical(future$state, "created")) {
    stop(future::FutureError("A future can only be launched once.", future = future))
  }
  submit_future(future)
  invisible(future)
}

# submit_future submits a future: by an expression of its own, or by data for evalFuture()
# of future 1.40 and later. Large globals go by themselves, once.
submit_future <- function(future, data = NULL) {
  con <- connection(future$rpipe_con)
  globals <- as.list(if (is.null(data)) future$globals else unclass(data$core$globals))
  attributes(globals) <- list(names = names(globals))
  globals <- lapply(globals, function(v) if (inherits(v, "rpipe_handle")) structure(list(v), class = "rpipe_kept") else v)
  large <- list()
  for (name in names(globals)) {
    stored <- elsewhere(con, globals[[name]])
    if (!is.null(stored)) {
      large[[name]] <- stored
      globals[name] <- list(NULL)
    }
  }
  if (is.null(data)) {
    run <- run_future
    plan <- list(expr = expression_of(future), globals = globals[setdiff(names(globals), names(large))])
  } else {
    run <- run_data
    attributes(globals) <- attributes(data$core$globals)
    data$core["globals"] <- list(globals)
    plan <- list(data = data)
  }
  options <- unclass(future$rpipe_options)
  if (is.null(options$name) && !is.null(future$label)) options$name <- future$label
  options$result_ttl <- options$result_ttl %||% 3600
  handle <- submit(con, run, c(list(.rp_plan = plan), large), options, future$packages, "The future")
  future$rpipe_con <- con
  future$rpipe_handle <- handle$id
  future$state <- "running"
}

# expression_of is what a worker evaluates. It sets the plan of this session again in the
# end, which on workers need not know this package: there, sequential stands for it.
expression_of <- function(future) {
  old <- future::plan("list")
  on.exit(future::plan(old, .cleanup = FALSE, .init = FALSE))
  future::plan(c(list(future::sequential), old[-1L]), .cleanup = FALSE, .init = FALSE)
  future::getExpression(future)
}

#' @exportS3Method future::resolved
resolved.RpipeFuture <- function(x, ...) {
  if (!is.null(x$result)) {
    return(TRUE)
  }
  if (identical(x$state, "created")) {
    future::run(x)
    return(FALSE)
  }
  wait_once(x$rpipe_con, x$rpipe_handle, "all", 0.005)$done
}

#' @exportS3Method future::result
result.RpipeFuture <- function(future, ...) {
  if (inherits(future$result, "FutureResult")) {
    return(future$result)
  }
  if (inherits(future$result, "FutureError")) stop(future$result)
  if (identical(future$state, "created")) future <- future::run(future)
  got <- rp_result(future$rpipe_handle, on_error = "continue", con = future$rpipe_con)
  if (inherits(got, "FutureResult")) {
    future$result <- got
    future$state <- "finished"
    return(got)
  }
  message <- if (inherits(got, "rp_task_error")) conditionMessage(got) else "the worker has answered with something else"
  future$result <- future::FutureError(paste0("Future (", future$label %||% "<none>", ") has no value: ", message), future = future)
  future$state <- "failed"
  stop(future$result)
}

#' @exportS3Method future::nbrOfWorkers
nbrOfWorkers.rpipe <- function(evaluator) {
  f <- formals(evaluator)
  workers <- check_workers(eval(f$workers))
  as.integer(workers %||% workers_of(connection(eval(f$con))))
}

# The queue takes any number.
#' @exportS3Method future::nbrOfFreeWorkers
nbrOfFreeWorkers.rpipe <- function(evaluator, background = FALSE, ...) nbrOfWorkers.rpipe(evaluator)
