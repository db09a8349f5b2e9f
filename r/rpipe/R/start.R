#' Start a task server on this machine
#'
#' Connects to the server that runs on the data directory, or starts `rpipe serve` there
#' and connects. What was submitted stays in the data directory: a later server goes on
#' with it.
#'
#' @param workers R processes at most. Without it, one for each core.
#' @param queues Queues that they take from, in order of priority.
#' @param data Data directory. Without it, `RPIPE_DATA`, then rpipe in the user's state
#'   directory; this is where the command line looks, too.
#' @param config An `rpipe.yaml`.
#' @param autoclose Whether a server that was started here stops with this session, or
#'   goes on.
#' @param join Whether workers of [rp_worker_spawn()] may join: `TRUE` for those of this
#'   machine, or the address at which those of others reach it, such as `"0.0.0.0:7422"`.
#' @param listen Address. Without it, a free port of this machine.
#' @param args More arguments of `rpipe serve`.
#' @param timeout Seconds that it may take to start.
#' @return The connection, invisibly, as of [rp_connect()].
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_lapply(1:3, sqrt)
#' rp_stop()
#' @export
rp_start <- function(workers = NULL, queues = NULL, data = NULL, config = NULL,
                     autoclose = TRUE, join = FALSE, listen = NULL, args = character(), timeout = 60) {
  not_on_windows("rp_start()")
  dir <- data %||% data_dir()
  con <- running(dir)
  if (is.null(con)) {
    dir.create(dir, showWarnings = FALSE, recursive = TRUE, mode = "0700")
    dir <- normalizePath(dir)
    flags <- c(
      config, "--data", dir, "--listen", listen %||% "127.0.0.1:0",
      if (!is.null(workers)) c("--max", workers), if (length(queues)) c("--queue", paste(queues, collapse = ",")), args
    )
    if (!identical(join, FALSE)) {
      flags <- c(flags, "--nats-listen", if (isTRUE(join)) "127.0.0.1:0" else check_string(join, "join"), "--join", join_file(dir))
    }
    con <- await_server(launch("serve", flags, autoclose = autoclose), dir, timeout)
  } else if (!is.null(workers) || !is.null(queues) || !is.null(config)) {
    cli::cli_inform("A server runs on {.path {dir}} already, with the settings that it was started with.")
  }
  if (file.exists(join_file(dir))) con$join <- join_file(normalizePath(dir))
  the$connection <- con
  invisible(con)
}

# join_file has what workers need to join the server of a data directory.
join_file <- function(dir) file.path(dir, "join")

# running is a connection to the server of a data directory, or NULL.
running <- function(dir) {
  local <- local_server(dir)
  if (is.null(local)) {
    return(NULL)
  }
  tryCatch(
    {
      con <- new_connection(local$url)
      answer <- send(con, "GET", "/v1/info", NULL, NULL, TYPE_JSON, TYPE_JSON, -55)
      if (!is.raw(answer)) stop(answer)
      con$info <- document(answer)
      con
    },
    rpipe_error = function(e) if (isTRUE(e$status %in% c(401L, 403L))) stop(e) else NULL
  )
}

await_server <- function(process, dir, timeout) {
  ready <- FALSE
  on.exit(if (!ready) stop_process(process, 5))
  until <- Sys.time() + timeout
  pause <- 0.05
  repeat {
    local <- local_server(dir)
    if (!is.null(local) && identical(as.integer(local$pid), process$pid)) {
      con <- running(dir)
      if (!is.null(con)) break
    }
    alive <- is_alive(process$pid)
    if (!alive || Sys.time() > until) {
      fail(
        "rpipe serve ", if (alive) paste0("was not ready within ", timeout, " s") else "has ended", ":\n",
        paste(last_lines(process$log), collapse = "\n"),
        class = "rpipe_start"
      )
    }
    Sys.sleep(pause)
    pause <- min(2 * pause, 0.25)
  }
  ready <- TRUE
  con$process <- process
  the$servers[[con$url]] <- process
  con
}

#' Stop the server that rp_start() has started
#'
#' Tasks under way have until `timeout` to finish; then they go back to their queue, and
#' the next server goes on with them.
#'
#' @param con A connection. Without it, the session's.
#' @param timeout Seconds.
#' @return Whether a server was stopped: `FALSE` where this session has started none.
#' @examples
#' rp_stop()
#' @export
rp_stop <- function(con = NULL, timeout = 40) {
  con <- con %||% the$connection
  if (!is.null(con) && identical(con, the$connection)) the$connection <- NULL
  process <- if (!is.null(con)) the$servers[[con$url]]
  if (is.null(process)) {
    return(invisible(FALSE))
  }
  the$servers[[con$url]] <- NULL
  the$handles <- NULL
  stop_process(process, timeout)
  sweep_ended()
  invisible(TRUE)
}

# can_serve reports whether examples can start a server.
can_serve <- function() {
  .Platform$OS.type != "windows" && identical(tryCatch(nzchar(rp_binary()), error = function(e) FALSE), TRUE)
}
