#' rpipe: R tasks on a durable queue
#'
#' Start with [rp_start()], which runs a task server on this machine, or [rp_connect()],
#' which takes one elsewhere. Then [rp_lapply()] and [rp_map()] map functions over many
#' elements, [rp_submit()] and [rp_call()] return a handle at once, and [rp_result()]
#' collects. What was submitted is kept by the server: it survives this session, the
#' server's restart and the death of any worker.
#'
#' @section Options:
#' \describe{
#'   \item{`rpipe.binary`}{Path of the program rpipe, before `RPIPE_BIN` and `PATH`.}
#'   \item{`rpipe.progress`}{Whether there are progress bars. Without it, in interactive
#'     sessions.}
#'   \item{`rpipe.warn_size`}{Bytes of globals that are warned of. Without it, 100 MB.}
#' }
#' @keywords internal
#' @name rpipe-package
#' @docType package
NULL

# What this session knows: the connection that calls use, servers that it has started.
the <- new.env(parent = emptyenv())

`%||%` <- function(x, y) if (is.null(x)) y else x

# fail is an error that says what, where, and how to mend it.
fail <- function(..., class = character(), call = NULL) {
  stop(structure(
    class = c(class, "rpipe_error", "error", "condition"),
    list(message = paste0(...), call = call)
  ))
}

check_string <- function(x, what, null = FALSE) {
  if (null && is.null(x)) {
    return(NULL)
  }
  if (!is.character(x) || length(x) != 1L || is.na(x) || !nzchar(x)) {
    fail("`", what, "` must be a string.")
  }
  x
}

check_seconds <- function(x, what) {
  if (!is.numeric(x) || length(x) != 1L || is.na(x) || x < 0) {
    fail("`", what, "` must be a number of seconds, 0 or more.")
  }
  as.numeric(x)
}
