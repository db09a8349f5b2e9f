#' Environments of tasks
#'
#' What R has loaded before a task: packages, files, code that is run. The workers'
#' processes are forked from one that has it, so that it is loaded once. Setting one makes
#' its next version; what runs goes on with the old.
#'
#' @param name Name; tasks without `environment =` have `"default"`.
#' @param packages Packages that are attached. They must be installed where workers are.
#' @param sources R files of this machine, which are sourced in order.
#' @param setup Code that is run after them: an expression in braces, a function without
#'   arguments, or text.
#' @param options `options()`, a list by name.
#' @param env Environment variables by name.
#' @param dir Working directory on the workers' machines.
#' @param ids Workers. Without it, all of them.
#' @param con A connection. Without it, the session's.
#' @return The environment, a list; `rp_env_list()`: a data.frame.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_env_set("model", setup = {
#'   answer <- 42
#' })
#' rp_result(rp_submit(answer, environment = "model"))
#' rp_stop()
#' @export
rp_env_set <- function(name, packages = NULL, sources = NULL, setup = NULL, options = NULL, env = NULL, dir = NULL, con = NULL) {
  con <- connection(con)
  code <- substitute(setup)
  if (is.call(code) && identical(code[[1L]], quote(`{`))) {
    setup <- vapply(as.list(code)[-1L], function(e) paste(deparse(e), collapse = "\n"), "")
  } else if (is.function(setup)) {
    setup <- deparse(body(setup))
  }
  files <- lapply(sources, function(path) {
    if (!file.exists(path)) fail("There is no file ", path, ".")
    list(name = basename(path), text = paste(readLines(path, warn = FALSE, encoding = "UTF-8"), collapse = "\n"))
  })
  value <- function(v) paste(deparse(v), collapse = " ")
  invisible(PUT(con, at("environments", check_string(name, "name")), list(
    packages = if (length(packages)) as.list(packages), sources = if (length(files)) files,
    setup = if (!is.null(setup)) paste(setup, collapse = "\n"),
    options = if (length(options)) lapply(as.list(options), value), env = if (length(env)) lapply(as.list(env), as.character), dir = dir
  )))
}

#' @rdname rp_env_set
#' @export
rp_env_get <- function(name = "default", con = NULL) {
  GET(connection(con), at("environments", check_string(name, "name")))
}

#' @rdname rp_env_set
#' @export
rp_env_list <- function(con = NULL) {
  rows <- GET(connection(con), "/v1/environments")$environments
  data.frame(
    name = text_column(rows, "name"), version = number_column(rows, "version"), owner = text_column(rows, "owner"),
    created = time_column(rows, "created"), packages = vapply(rows, function(r) paste(unlist(r$packages), collapse = ", "), "")
  )
}

#' @rdname rp_env_set
#' @details `rp_env_refresh()` has workers load what they have anew, for files that have
#'   changed on their machines and packages that were installed.
#' @export
rp_env_refresh <- function(ids = NULL, con = NULL) invisible(rp_worker_message("refresh", ids, con = con))
