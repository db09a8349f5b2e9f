# Requests to the server: what may be asked twice is asked again where the connection
# breaks, as the client in Go does.

TYPE_R <- "application/x-r-serialize"
TYPE_JSON <- "application/json"
TYPE_LINES <- "application/x-ndjson"
RETRIES <- 5L

# http sends a request and returns the body of an answer of success, a raw vector. once
# says that asking twice would be doing twice; long is how many seconds the answer may
# take beyond the usual minute, Inf for no limit.
http <- function(con, method, path, query = NULL, body = NULL, type = TYPE_JSON,
                 accept = TYPE_JSON, once = FALSE, long = 0) {
  pause <- 0.1
  for (try in 0:RETRIES) {
    answer <- tryCatch(
      send(con, method, path, query, body, type, accept, long),
      rpipe_unreachable = function(e) e
    )
    if (is.raw(answer)) {
      return(answer)
    }
    # A server that ends, or whose engine does not answer, may have done it all the same.
    again <- inherits(answer, "rpipe_no_connection") ||
      (!once && (inherits(answer, "rpipe_unreachable") || isTRUE(answer$status == 503L)))
    if (!again || try == RETRIES) stop(answer)
    Sys.sleep(max(pause * (1 + (Sys.getpid() + try * 7) %% 10 / 10), answer$retry_after %||% 0))
    pause <- min(2 * pause, 5)
  }
}

# send sends a request once. It returns the body, or a fault; no answer at all is
# signalled as rpipe_unreachable.
send <- function(con, method, path, query, body, type, accept, long) {
  h <- handle_of(con)
  url <- paste0(con$base, path, query_text(query))
  headers <- c(list(Accept = accept, Expect = ""), if (!is.null(body)) list(`Content-Type` = type),
    if (!is.null(con$token)) list(Authorization = paste("Bearer", con$token)))
  curl::handle_reset(h)
  curl::handle_setheaders(h, .list = headers)
  limit <- if (is.finite(long)) min(60 + long + length(body) / 1e5, 2e6) else 0
  options <- c(
    list(customrequest = method, useragent = con$agent, timeout_ms = as.integer(1000 * limit), connecttimeout_ms = 10000L),
    if (method == "HEAD") list(nobody = TRUE),
    if (!is.null(con$socket)) list(unix_socket_path = con$socket, proxy = ""),
    if (is.null(con$socket) && is_loopback(con$base)) list(noproxy = "*"),
    if (!is.null(con$ca)) list(cainfo = con$ca),
    if (!is.null(con$cert)) list(sslcert = con$cert, sslkey = con$key),
    if (!is.null(body)) list(post = TRUE, postfieldsize_large = length(body), postfields = body),
    if (is.null(body) && method %in% c("POST", "PUT")) list(post = TRUE, postfieldsize = 0L, postfields = raw())
  )
  curl::handle_setopt(h, .list = options)
  got <- tryCatch(curl::curl_fetch_memory(url, h), error = function(e) e)
  if (inherits(got, "error")) {
    the$handles <- NULL # where it stands is not known
    message <- conditionMessage(got)
    # libcurl's word for it: a pending interrupt of R ended the request.
    if (grepl("aborted by an application callback", message, fixed = TRUE)) interrupt()
    refused <- grepl("connect to|connection refused", message, ignore.case = TRUE)
    fail("The task server at ", con$url, " cannot be reached: ", message, ".",
      if (refused) " Is it running? rp_start() starts one on this machine; RPIPE_URL or rp_connect() say where it is.",
      class = c(if (refused) "rpipe_no_connection", "rpipe_unreachable")
    )
  }
  if (got$status_code < 300L) got$content else fault(con, got)
}

# interrupt ends the call as Ctrl-C does.
interrupt <- function() {
  signalCondition(structure(class = c("interrupt", "condition"), list()))
  invokeRestart("abort")
}

# handle_of is a handle with a connection that is kept open. A fork has its own.
handle_of <- function(con) {
  if (is.null(the$handles) || !identical(the$handles_pid, Sys.getpid())) {
    the$handles <- curl::new_handle()
    the$handles_pid <- Sys.getpid()
  }
  the$handles
}

# fault is the error that an answer stands for.
fault <- function(con, got) {
  body <- tryCatch(jsonlite::fromJSON(rawToChar(got$content), simplifyVector = FALSE), error = function(e) NULL)
  if (!is.list(body) || is.null(body$error)) {
    body <- list(error = "http", message = paste0(con$url, " answers with status ", got$status_code, ": is a task server there?"))
  }
  field <- if (nzchar(body$field %||% "")) paste0(body$field, ": ") else ""
  structure(
    class = c(paste0("rpipe_", gsub("[^a-z_]", "_", body$error)), "rpipe_fault", "rpipe_error", "error", "condition"),
    list(
      message = paste0(field, body$message), call = NULL, status = got$status_code, code = body$error,
      field = body$field, retry_after = body$retry_after
    )
  )
}

query_text <- function(query) {
  query <- query[!vapply(query, is.null, NA)]
  if (!length(query)) {
    return("")
  }
  value <- function(x) {
    if (is.logical(x)) x <- if (x) "true" else "false"
    curl::curl_escape(if (is.numeric(x)) format(x, scientific = FALSE) else enc2utf8(as.character(x)))
  }
  paste0("?", paste0(names(query), "=", vapply(query, value, ""), collapse = "&"))
}

is_loopback <- function(base) grepl("^https?://(127[.]|localhost[:/]|localhost$|\\[::1\\])", base)

# at is a path: names may hold anything.
at <- function(...) paste0("/v1/", paste0(vapply(c(...), curl::curl_escape, ""), collapse = "/"))

# document reads an answer in JSON.
document <- function(bytes) {
  text <- rawToChar(bytes)
  Encoding(text) <- "UTF-8"
  jsonlite::fromJSON(text, simplifyVector = FALSE)
}

GET <- function(con, path, query = NULL) document(http(con, "GET", path, query))

PUT <- function(con, path, value) document(http(con, "PUT", path, body = json(value)))

POST <- function(con, path, value = NULL, once = FALSE, long = 0) {
  document(http(con, "POST", path, body = if (!is.null(value)) json(value), once = once, long = long))
}

# json is a document as bytes. Vectors that must stay arrays are marked with I().
json <- function(value) {
  value <- value[!vapply(value, is.null, NA)]
  if (!length(value)) {
    return(charToRaw("{}"))
  }
  charToRaw(enc2utf8(jsonlite::toJSON(value, auto_unbox = TRUE, null = "null", digits = NA)))
}

# time_of reads times of documents.
time_of <- function(x) {
  if (is.null(x)) {
    return(as.POSIXct(NA_real_, origin = "1970-01-01", tz = "UTC"))
  }
  as.POSIXct(sub("Z$", "", x), format = "%Y-%m-%dT%H:%M:%OS", tz = "UTC")
}

time_text <- function(x) {
  if (inherits(x, "POSIXt") || inherits(x, "Date")) format(as.POSIXct(x), "%Y-%m-%dT%H:%M:%SZ", tz = "UTC") else x
}
