# What workers run: functions of base R alone, since this package need not be there. They
# are sent with the global environment as their own.

# place puts functions that were taken out of their frames where the globals are.
place_code <- quote({
  .rp_env <- list2env(c(.rp_plan[["globals"]], list(...)), parent = globalenv())
  .rp_place <- function(x, depth = 3L) {
    if (is.function(x)) {
      e <- environment(x)
      if (is.null(e)) return(x)
      if (identical(e, globalenv())) {
        environment(x) <- .rp_env
      } else if (!isNamespace(e) && !identical(e, .rp_env)) {
        while (!identical(e, emptyenv()) && !isNamespace(e) && !identical(parent.env(e), globalenv()) &&
          !identical(parent.env(e), .rp_env)) e <- parent.env(e)
        if (!identical(e, emptyenv()) && !isNamespace(e) && identical(parent.env(e), globalenv())) parent.env(e) <- .rp_env
      }
    } else if (is.list(x) && !is.data.frame(x) && depth > 0L && length(x) <= 1000L) {
      for (i in seq_along(x)) {
        e <- .subset2(x, i)
        if (is.function(e) || is.list(e)) x[[i]] <- .rp_place(e, depth - 1L)
      }
    }
    x
  }
  for (.rp_name in .rp_plan[["functions"]]) .rp_env[[.rp_name]] <- .rp_place(.rp_env[[.rp_name]])
})

runner <- function(body) {
  f <- eval(call("function", as.pairlist(alist(.rp_plan = , ... = )), body))
  environment(f) <- globalenv()
  f
}

# run_call evaluates a call of a function, or an expression, among the globals.
run_call <- runner(bquote({
  .(place_code)
  if (is.null(.rp_plan[["fun"]])) {
    eval(.rp_plan[["expr"]], .rp_env)
  } else {
    .rp_env$.rp_fun <- .rp_place(.rp_plan[["fun"]])
    .rp_env$.rp_args <- .rp_plan[["args"]]
    eval(.rp_plan[["call"]], .rp_env)
  }
}))

# run_group calls a function for the elements of a group: list(at, x, seed, whole), whose
# elements are numbers `at`. It stops where its budget of seconds is spent, with at least
# one done, unless whole; retries of a job are whole. It returns list(at, values, errors,
# took) of what was done.
run_group <- eval(bquote(function(.rp_group, .rp_plan, ...) {
  .(place_code)
  .rp_env$.rp_fun <- .rp_place(.rp_plan[["fun"]])
  .rp_env$.rp_args <- .rp_plan[["args"]]
  .rp_env$.rp_x <- .rp_group$x
  begin <- proc.time()[[3L]]
  n <- length(.rp_group$at)
  values <- vector("list", n)
  errors <- integer()
  budget <- .rp_plan[["budget"]]
  if (.rp_group$whole || !startsWith(Sys.getenv("RPIPE_TASK_ID"), .rp_plan[["job"]])) budget <- Inf
  seed <- .rp_group$seed
  if (!is.null(seed)) {
    old <- get0(".Random.seed", globalenv(), inherits = FALSE)
    on.exit(if (is.null(old)) rm(".Random.seed", envir = globalenv()) else assign(".Random.seed", old, globalenv()))
  }
  one <- .rp_plan[["call"]]
  env <- .rp_env
  i <- 0L
  work <- function() {
    while (i < n) {
      i <<- i + 1L
      env$.rp_i <- i
      if (!is.null(seed)) {
        assign(".Random.seed", seed, globalenv())
        seed <<- parallel::nextRNGStream(seed)
      }
      value <- if (.rp_plan[["catch"]]) {
        tryCatch(eval(one, env), error = function(e) {
          errors <<- c(errors, i)
          list(message = conditionMessage(e), class = class(e), call = paste(deparse(conditionCall(e), nlines = 5L), collapse = "\n"))
        })
      } else {
        eval(one, env)
      }
      if (!is.null(value)) values[[i]] <<- value
      if (proc.time()[[3L]] - begin > budget) break
    }
  }
  if (.rp_plan[["catch"]]) {
    work()
  } else {
    # Tells which element it was, and leaves the error as it is.
    withCallingHandlers(work(), error = function(e) {
      signalCondition(structure(class = c("rpipe_progress", "condition"), list(
        message = "", call = NULL, value = list(element = .rp_group$at[i])
      )))
    })
  }
  done <- seq_len(i)
  list(at = .rp_group$at[done], values = values[done], errors = errors, took = proc.time()[[3L]] - begin)
}))
environment(run_group) <- globalenv()

# argument_refs are references to the elements of .rp_args, under their names.
argument_refs <- function(args) {
  refs <- lapply(seq_along(args), function(i) call("[[", quote(.rp_args), i))
  names(refs) <- names(args)
  refs
}
