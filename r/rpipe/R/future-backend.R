# The backend for future 1.40 and later, where launchFuture() takes the place of run(). Its
# methods are registered when such a future is loaded: older ones have no such generics.

# RpipeFutureBackend is what future makes of plan(rpipe, ...).
RpipeFutureBackend <- function(workers = NULL, options = NULL, con = NULL, ..., expr, substitute, envir) {
  core <- getExportedValue("future", "MultiprocessFutureBackend")(...)
  core[["workers"]] <- check_workers(workers)
  core[["options"]] <- options
  core[["con"]] <- con
  core[["running"]] <- list()
  core[["futureClasses"]] <- c("RpipeFuture", core[["futureClasses"]])
  structure(core, class = c("RpipeFutureBackend", class(core)))
}

# What plan(rpipe, ...) and tweak() take.
TWEAKABLE <- c("workers", "options", "con", "earlySignal", "gc", "interrupts", "maxSizeOfObjects", "hooks")

# check_workers is how many workers others are told of, as plan() was given it: a number,
# or a function that returns one.
check_workers <- function(workers) {
  if (is.function(workers)) workers <- workers()
  if (!is.null(workers) && (!is.numeric(workers) || length(workers) != 1L || is.na(workers) || workers < 1)) {
    fail("`workers` must be a number, 1 or more: how many R processes others should reckon with.")
  }
  workers
}

has_backends <- function() exists("launchFuture", asNamespace("future"), inherits = FALSE)

register_backend <- function(...) {
  if (!has_backends()) {
    return(invisible())
  }
  ns <- asNamespace("future")
  for (generic in c("launchFuture", "listFutures", "interruptFuture", "stopWorkers")) {
    registerS3method(generic, "RpipeFutureBackend", get(paste0("backend_", generic)), envir = ns)
  }
}

backend_launchFuture <- function(backend, future, ...) {
  future$rpipe_options <- backend[["options"]] %||% rp_options()
  future$rpipe_con <- backend[["con"]]
  submit_future(future, data_of(future::getExpression(future)))
  live <- Filter(function(f) is.null(f$result), backend[["running"]])
  backend[["running"]] <- c(live, list(future))
  future
}

# data_of is what future's own evalFuture() is to be given.
data_of <- function(expr) {
  call <- expr[[length(expr)]]
  data <- Find(is.list, as.list(call))
  if (is.null(data)) fail("This version of future is not known: it evaluates ", deparse(call[[1L]]), "().")
  data
}

# run_data evaluates a future on a worker. Globals that went by themselves come as `...`.
run_data <- function(.rp_plan, ...) {
  data <- .rp_plan$data
  large <- list(...)
  as <- attributes(data$core$globals)
  globals <- unclass(data$core$globals)
  for (name in names(large)) globals[[name]] <- large[[name]]
  attributes(globals) <- as
  data$core$globals <- globals
  env <- globalenv()
  before <- ls(env, all.names = TRUE)
  hidden <- mget(intersect(as.character(names(globals)), before), envir = env)
  on.exit({
    rm(list = setdiff(ls(env, all.names = TRUE), c(before, ".Random.seed")), envir = env)
    list2env(hidden, envir = env)
  })
  get("evalFuture", envir = asNamespace("future"))(data)
}
environment(run_data) <- globalenv()

backend_listFutures <- function(backend, ...) {
  all <- backend[["running"]]
  column <- function(of, type) vapply(all, of, type)
  d <- data.frame(
    counter = column(function(f) as.integer(f[["uuid"]][2L]), 1L),
    start = column(function(f) as.numeric(f[["start"]] %||% NA_real_), 1),
    label = column(function(f) as.character(f[["label"]] %||% NA_character_), ""),
    resolved = column(function(f) f[["state"]] != "created" && future::resolved(f), NA)
  )
  d$future <- lapply(all, list)
  d
}

backend_interruptFuture <- function(backend, future, ...) {
  if (!isTRUE(backend[["interrupts"]]) || is.null(future$rpipe_handle)) {
    return(future)
  }
  rp_cancel(future$rpipe_handle, con = future$rpipe_con)
  future[["state"]] <- "interrupted"
  future
}

# The workers are the server's: another plan leaves them alone, and lets futures end.
backend_stopWorkers <- function(backend, ...) invisible(FALSE)

#' @exportS3Method future::nbrOfWorkers
nbrOfWorkers.RpipeFutureBackend <- function(evaluator) {
  as.integer(evaluator[["workers"]] %||% workers_of(connection(evaluator[["con"]])))
}

#' @exportS3Method future::nbrOfFreeWorkers
nbrOfFreeWorkers.RpipeFutureBackend <- function(evaluator, background = FALSE, ...) nbrOfWorkers.RpipeFutureBackend(evaluator)

.onLoad <- function(libname, pkgname) {
  # Has plan() make the backend at once. Older ones would try a future instead.
  version <- tryCatch(utils::packageVersion("future"), error = function(e) "0")
  if (version >= "1.40.0") attr(rpipe, "init") <<- TRUE
  if (isNamespaceLoaded("future")) register_backend()
  setHook(packageEvent("future", "onLoad"), register_backend)
}
