#' Queues
#'
#' A queue is there from its first task on.
#'
#' @param name Name of a queue.
#' @param max_length Tasks that may wait in it; more are refused. 0 is no limit.
#' @param max_bytes Bytes of arguments of those, or text such as `"10GiB"`. 0 is no limit.
#' @param con A connection. Without it, the session's.
#' @return `rp_queue_list()`: a data.frame; `rp_queue_length()`: how many tasks wait;
#'   `rp_queue_purge()`: how many were cancelled. The others: the queue, a list.
#' @examplesIf rpipe:::can_serve()
#' rp_start(workers = 1, data = tempfile("rpipe"))
#' rp_queue_pause("default")
#' rp_submit(1)
#' rp_queue_length("default")
#' rp_queue_resume("default")
#' rp_stop()
#' @export
rp_queue_list <- function(con = NULL) {
  rows <- GET(connection(con), "/v1/queues")$queues
  data.frame(
    name = text_column(rows, "name"), paused = vapply(rows, function(r) isTRUE(r$paused), NA),
    pending = number_column(rows, "pending"), deferred = number_column(rows, "deferred"), running = number_column(rows, "running"),
    bytes = number_column(rows, "bytes"), workers = number_column(rows, "workers"),
    max_length = number_column(rows, "max_length"), max_bytes = number_column(rows, "max_bytes")
  )
}

#' @rdname rp_queue_list
#' @export
rp_queue_length <- function(name = "default", con = NULL) {
  q <- GET(connection(con), at("queues", check_string(name, "name")))
  q$pending + q$deferred
}

#' @rdname rp_queue_list
#' @export
rp_queue_set <- function(name, max_length = NULL, max_bytes = NULL, con = NULL) {
  invisible(PUT(connection(con), at("queues", check_string(name, "name")), list(max_length = max_length, max_bytes = max_bytes)))
}

#' @rdname rp_queue_list
#' @export
rp_queue_pause <- function(name = "default", con = NULL) {
  invisible(POST(connection(con), at("queues", check_string(name, "name"), "pause")))
}

#' @rdname rp_queue_list
#' @export
rp_queue_resume <- function(name = "default", con = NULL) {
  invisible(POST(connection(con), at("queues", check_string(name, "name"), "resume")))
}

#' @rdname rp_queue_list
#' @export
rp_queue_purge <- function(name, con = NULL) {
  invisible(POST(connection(con), at("queues", check_string(name, "name"), "purge"))$cancelled)
}
