#' Connect to a task server
#'
#' Further calls of this session use it, unless they are given another connection.
#' Without `rp_connect()` they use the server that `RPIPE_URL` names, or the one that this
#' user runs on this machine.
#'
#' @param url Address, such as `"http://127.0.0.1:7033"` or
#'   `"unix:///run/rpipe/rpipe.sock"`. Without it, `RPIPE_URL`, then the server of this
#'   user on this machine.
#' @param token Token, as `rpipe token create` makes it. Without it, `RPIPE_TOKEN`. On
#'   the server's own machine its user needs none.
#' @param ca File with the authority of the server's certificate, in PEM. Without it,
#'   `RPIPE_CA`, then the system's.
#' @param cert,key Files with a certificate of one's own and its key, in PEM.
#' @param set Whether further calls use it.
#' @return The connection, invisibly.
#' @seealso [rp_start()], which starts a server.
#' @examples
#' try(rp_connect("http://127.0.0.1:1"))
#' @export
rp_connect <- function(url = NULL, token = NULL, ca = NULL, cert = NULL, key = NULL, set = TRUE) {
  con <- new_connection(url %||% found_url(), token, ca, cert, key)
  con$info <- GET(con, "/v1/info")
  if (set) the$connection <- con
  invisible(con)
}

#' @rdname rp_connect
#' @details `rp_connection()` is the connection that is used, `rp_disconnect()` forgets it.
#' @export
rp_connection <- function() {
  if (is.null(the$connection)) rp_connect()
  the$connection
}

#' @rdname rp_connect
#' @export
rp_disconnect <- function() {
  the$connection <- NULL
  invisible(NULL)
}

#' @export
print.rpipe_connection <- function(x, ...) {
  info <- x$info
  cat("<rpipe server ", x$url, ">\n", sep = "")
  cat("rpipe ", info$version, ", as ", info$owner, " (", paste(unlist(info$scopes), collapse = ", "), ")\n", sep = "")
  invisible(x)
}

new_connection <- function(url, token = NULL, ca = NULL, cert = NULL, key = NULL) {
  check_string(url, "url")
  given <- function(x, name) {
    if (is.null(x)) x <- Sys.getenv(name)
    if (nzchar(x)) x
  }
  con <- structure(new.env(parent = emptyenv()), class = "rpipe_connection")
  con$url <- sub("/+$", "", url)
  con$token <- given(token, "RPIPE_TOKEN")
  con$ca <- given(ca, "RPIPE_CA")
  con$cert <- cert
  con$key <- key
  con$agent <- paste0("rpipe-r/", utils::packageVersion("rpipe"))
  if (grepl("^unix:", url)) {
    con$socket <- sub("^unix:(//)?", "", url)
    con$base <- "http://localhost"
  } else if (grepl("^https?://[^/@]*@", url)) {
    fail("The server's address holds a password: give a token, by `token` or RPIPE_TOKEN.")
  } else if (grepl("^https?://[^/]", url)) {
    con$base <- con$url
  } else {
    fail("\"", url, "\" is no address of a server: such as http://127.0.0.1:7033.")
  }
  con
}

# connection is that of a call: what it was given, or the session's.
connection <- function(con = NULL) {
  if (is.null(con)) {
    return(rp_connection())
  }
  if (!inherits(con, "rpipe_connection")) fail("`con` must be what rp_connect() returns.")
  con
}

# found_url is where the server of RPIPE_URL, or of this user on this machine, is.
found_url <- function() {
  url <- Sys.getenv("RPIPE_URL")
  if (nzchar(url)) {
    return(url)
  }
  local <- local_server(data_dir())
  if (is.null(local)) {
    fail(
      "No task server is known: rp_start() starts one on this machine, rp_connect(url) takes one elsewhere.",
      class = "rpipe_no_server"
    )
  }
  local$url
}

# data_dir is the data directory that nobody has named.
data_dir <- function() {
  dir <- Sys.getenv("RPIPE_DATA")
  if (nzchar(dir)) {
    return(path.expand(dir))
  }
  state <- Sys.getenv("XDG_STATE_HOME")
  if (!grepl("^/", state)) state <- file.path(path.expand("~"), ".local", "state")
  file.path(state, "rpipe")
}

# local_server is list(url, host, pid, version, started) of the server that runs on a data
# directory, or NULL. One of another machine, with which this one shares the directory, is
# an error; one that was killed has left its file, and somebody else may be at its address.
local_server <- function(dir) {
  path <- file.path(dir, "server.json")
  if (!file.exists(path)) {
    return(NULL)
  }
  local <- tryCatch(jsonlite::fromJSON(path), error = function(e) NULL)
  here <- Sys.info()[["nodename"]]
  if (nzchar(local$host %||% "") && !identical(local$host, here)) {
    fail(
      "The task server of ", dir, " is on ", local$host, ", and this is ", here, ": say where it is, by rp_connect(url) or RPIPE_URL. ",
      "Where it is no more, as after a crash there, remove ", path, ".",
      class = "rpipe_elsewhere"
    )
  }
  if (!is.null(local$pid) && os_type() != "windows" && !is_there(local$pid)) NULL else local
}

# is_there reports whether a process lives, another user's too.
is_there <- function(pid) {
  if (dir.exists("/proc/self")) dir.exists(file.path("/proc", pid)) else is_alive(pid) || system2("ps", c("-p", pid), stdout = FALSE) == 0L
}
