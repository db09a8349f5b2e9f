#' Workers
#'
#' A worker is a process that takes tasks from queues and has R processes run them. The
#' server has one of its own; `rp_worker_spawn()` starts more on this machine. One that
#' dies is missed within half a minute: its tasks run elsewhere, nobody has to look for it.
#'
#' @param n How many.
#' @param max R processes of each, at most.
#' @param queues Queues that they take from, in order of priority.
#' @param config A named configuration: see [rp_worker_config_save()].
#' @param join The file, or its text, that `rpipe serve --join` has written. Without it,
#'   that of `rp_start(join = TRUE)`, then `RPIPE_JOIN`.
#' @param idle_timeout Seconds without a task after which a worker ends; 0 is never.
#' @param autoclose Whether they end with this session.
#' @param args More arguments of `rpipe worker`.
#' @param ids Ids of workers. Without it, all of them.
#' @param timeout Seconds to wait.
#' @param con A connection. Without it, the session's.
#' @return `rp_worker_list()`: a data.frame. `rp_worker_spawn()`: ids.
#'   `rp_worker_info()`: the record of a worker. `rp_worker_load()`: R processes that were
#'   busy over 1, 5, 15 s and all time, on average. `rp_worker_log()`: a data.frame.
#'   `rp_worker_message()`: the answers, in a list by id.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"), join = TRUE)
#' id <- rp_worker_spawn(1, queues = c("quick", "default"))
#' rp_worker_list()
#' rp_worker_message("ping", id)
#' rp_worker_stop(id)
#' rp_stop()
#' @export
rp_worker_spawn <- function(n = 1, max = 1, queues = NULL, config = NULL, join = NULL, idle_timeout = 0,
                            autoclose = TRUE, args = character(), timeout = 60, con = NULL) {
  not_on_windows("rp_worker_spawn()")
  con <- connection(con)
  join <- join %||% con$join
  if (is.null(join) && nzchar(Sys.getenv("RPIPE_JOIN"))) join <- Sys.getenv("RPIPE_JOIN")
  if (is.null(join)) {
    fail("The server lets no workers join, as far as is known here: start it with rp_start(join = TRUE) or rpipe serve --nats-listen, or give `join`, the file that it has written.")
  }
  if (startsWith(join, "rpipe-join-")) join <- secret_file(join)
  ids <- paste0("r-", vapply(seq_len(n), function(i) substr(new_id(), 11, 20), ""))
  processes <- lapply(ids, function(id) {
    launch("worker", c(
      "--join", join, "--name", id, "--max", max, if (length(queues)) c("--queue", paste(queues, collapse = ",")),
      if (!is.null(config)) c("--config", config), if (idle_timeout > 0) c("--idle-timeout", paste0(idle_timeout, "s")), args
    ), autoclose = autoclose)
  })
  the$workers[ids] <- processes
  tryCatch(rp_worker_wait(ids, timeout = timeout, con = con), rpipe_timeout = function(e) {
    logs <- unlist(lapply(processes, function(p) last_lines(p$log, 5L)))
    for (p in processes) stop_process(p, 5)
    fail(conditionMessage(e), "\n", paste(logs, collapse = "\n"), class = "rpipe_timeout")
  })
  ids
}

# secret_file is a file of this user's alone with a text that is as good as a password:
# others see the arguments of programs.
secret_file <- function(text) {
  path <- tempfile("rpipe-secret")
  file.create(path)
  Sys.chmod(path, "0600")
  writeLines(text, path)
  path
}

#' @rdname rp_worker_spawn
#' @export
rp_worker_list <- function(con = NULL) {
  rows <- GET(connection(con), "/v1/workers")$workers
  data.frame(
    id = text_column(rows, "id"), host = text_column(rows, "host"), pid = number_column(rows, "pid"),
    state = text_column(rows, "state"), queues = vapply(rows, function(r) paste(unlist(r$queues), collapse = ","), ""),
    max = number_column(rows, "max"), busy = number_column(rows, "busy"), done = number_column(rows, "done"),
    rss = number_column(rows, "rss"), started = time_column(rows, "started"), seen = time_column(rows, "seen")
  )
}

#' @rdname rp_worker_spawn
#' @param id Id of a worker.
#' @export
rp_worker_info <- function(id, con = NULL) {
  info <- GET(connection(con), at("workers", check_string(id, "id")))
  for (field in c("started", "seen")) info[[field]] <- time_of(info[[field]])
  info
}

#' @rdname rp_worker_spawn
#' @export
rp_worker_wait <- function(ids, timeout = 60, con = NULL) {
  con <- connection(con)
  end <- Sys.time() + timeout
  repeat {
    missing <- setdiff(ids, rp_worker_list(con)$id)
    if (!length(missing)) {
      return(invisible(TRUE))
    }
    if (Sys.time() > end) {
      fail("Worker ", paste(missing, collapse = ", "), " has not come within ", timeout, " s.", class = "rpipe_timeout")
    }
    Sys.sleep(0.1) # between two looks at who is there
  }
}

#' @rdname rp_worker_spawn
#' @param now Whether their tasks go back to their queue. Otherwise they are finished.
#' @export
rp_worker_stop <- function(ids = NULL, now = FALSE, con = NULL) {
  con <- connection(con)
  ids <- ids %||% rp_worker_list(con)$id
  answers <- rp_worker_message("stop", ids, text = if (now) "now", con = con)
  own <- the$workers[intersect(ids, names(the$workers))]
  the$workers[names(own)] <- NULL
  until <- Sys.time() + 2
  while (any(vapply(own, function(p) is_alive(p$pid), NA)) && Sys.time() < until) Sys.sleep(0.02) # those without a task end at once
  sweep_ended()
  invisible(answers)
}

#' @rdname rp_worker_spawn
#' @param type `"ping"`, `"echo"`, `"info"`, `"load"`, `"pause"`, `"resume"`, `"refresh"`,
#'   `"stop"`, `"eval"`, `"timeout_set"`, `"timeout_get"` or `"queues"`.
#' @param text `echo`: what comes back; `eval`: R source text.
#' @param seconds `timeout_set`: the idle time.
#' @export
rp_worker_message <- function(type, ids = NULL, text = NULL, seconds = NULL, queues = NULL, con = NULL) {
  con <- connection(con)
  ids <- ids %||% rp_worker_list(con)$id
  answers <- lapply(ids, function(id) {
    a <- POST(con, at("workers", id, "messages"), list(
      type = type, text = text, seconds = seconds, queues = if (length(queues)) as.list(queues)
    ), once = TRUE)
    if (!isTRUE(a$ok)) fail("Worker ", id, ": ", a$error)
    a$value
  })
  stats::setNames(answers, ids)
}

#' @rdname rp_worker_spawn
#' @export
rp_worker_load <- function(ids = NULL, con = NULL) {
  rows <- GET(connection(con), "/v1/workers")$workers
  if (!is.null(ids)) rows <- Filter(function(r) r$id %in% ids, rows)
  part <- function(name) vapply(rows, function(r) as.numeric(r$load[[name]] %||% 0), 0)
  data.frame(id = text_column(rows, "id"), max = number_column(rows, "max"), s1 = part("s1"), s5 = part("s5"), s15 = part("s15"), all = part("all"))
}

#' @rdname rp_worker_spawn
#' @param tail How many lines at most, the last ones.
#' @export
rp_worker_log <- function(id, tail = 100, con = NULL) {
  lines <- utils::tail(log_lines(connection(con), at("workers", check_string(id, "id"), "log")), tail)
  data.frame(time = time_column(lines, "time"), event = text_column(lines, "stream"), line = text_column(lines, "line"))
}

#' Named configurations of workers
#'
#' Kept by the server, for `rp_worker_spawn(config =)` and `rpipe worker --config`.
#'
#' @param name Name.
#' @param queues Queues, in order of priority.
#' @param min,max R processes that are kept up, and at most.
#' @param idle_timeout Seconds without a task after which the worker ends; 0 is never.
#' @param max_memory Resident memory of an R process: bytes or text such as `"4GiB"`.
#' @param max_tasks An R process is replaced after so many; 0 is never.
#' @param log_tasks Whether the worker's log names each task.
#' @param con A connection. Without it, the session's.
#' @return The configuration, a list; `rp_worker_config_list()`: names.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_worker_config_save("long", queues = c("long", "default"), max = 2)
#' rp_worker_config_list()
#' rp_stop()
#' @export
rp_worker_config_save <- function(name, queues = NULL, min = NULL, max = NULL, idle_timeout = NULL, max_memory = NULL,
                                  max_tasks = NULL, log_tasks = NULL, con = NULL) {
  invisible(PUT(connection(con), at("worker-configs", check_string(name, "name")), list(
    queues = if (length(queues)) as.list(queues), min = min, max = max, idle_timeout = duration(idle_timeout),
    max_memory = max_memory, max_tasks = max_tasks, log_tasks = log_tasks
  )))
}

#' @rdname rp_worker_config_save
#' @export
rp_worker_config_read <- function(name, con = NULL) {
  c <- GET(connection(con), at("worker-configs", check_string(name, "name")))
  c$queues <- unlist(c$queues)
  c
}

#' @rdname rp_worker_config_save
#' @export
rp_worker_config_list <- function(con = NULL) {
  text_column(GET(connection(con), "/v1/worker-configs")$configs, "name")
}
