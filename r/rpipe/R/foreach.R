#' foreach on the task queue
#'
#' After `registerDoRpipe()`, `%dopar%` of the package foreach runs on the session's server,
#' with the balancing of [rp_lapply()].
#'
#' @param ... Further arguments of [rp_lapply()]: `options`, `seed`, `group`, `progress`, `con`.
#' @return Nothing.
#' @examplesIf rpipe:::can_serve() && requireNamespace("foreach", quietly = TRUE)
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' registerDoRpipe()
#' foreach::`%dopar%`(foreach::foreach(i = 1:3, .combine = c), i^2)
#' foreach::registerDoSEQ()
#' rp_stop()
#' @export
registerDoRpipe <- function(...) {
  if (!requireNamespace("foreach", quietly = TRUE) || !requireNamespace("iterators", quietly = TRUE)) {
    fail("The packages foreach and iterators are needed.")
  }
  foreach::setDoPar(do_rpipe, data = list(...), info = function(data, item) {
    switch(item,
      name = "doRpipe",
      version = utils::packageVersion("rpipe"),
      workers = workers_of(connection(data$con)),
      NULL
    )
  })
  invisible(NULL)
}

do_rpipe <- function(obj, expr, envir, data) {
  it <- iterators::iter(obj)
  values <- as.list(it)
  accumulate <- foreach::makeAccum(it)
  if (length(values)) {
    names <- unique(unlist(lapply(values, names)))
    formals <- stats::setNames(rep(list(quote(expr = )), length(names)), names)
    code <- eval(call("function", as.pairlist(formals), expr), envir)
    frame <- new.env(parent = envir)
    frame$.rp_code <- code
    # What foreach is told to export is named, so that it is found.
    named <- lapply(setdiff(obj$export, obj$noexport), as.symbol)
    f <- eval(bquote(function(.rp_it) {
      if (FALSE) .(as.call(c(list(quote(list)), named)))
      do.call(.rp_code, .rp_it)
    }), frame)
    settings <- utils::modifyList(list(on_error = "continue", packages = obj$packages), data)
    results <- do.call(rp_lapply, c(list(values, f), settings), quote = TRUE)
    tryCatch(accumulate(results, seq_along(results)), error = function(e) {
      fail("The results cannot be combined: ", conditionMessage(e))
    })
  }
  error <- foreach::getErrorValue(it)
  if (identical(obj$errorHandling, "stop") && !is.null(error)) {
    fail("task ", foreach::getErrorIndex(it), " failed - \"", conditionMessage(error), "\"", class = "rp_task_error")
  }
  foreach::getResult(it)
}
