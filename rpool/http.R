# HTTP requests: a Rook environment in, a Rook response out, both as httpuv 1.6
# has them. Base R alone; later and promises are used where a handler answers with
# a promise, which loads them.

handler <- NULL        # the environment's: a function of a request; NULL for none
send_files <- FALSE    # a body that is a file goes as bytes: Go may read what R may not
rook <- NULL           # variables that are the same in each request
http_call <- quote(handler(req))

# use_handler takes the environment's handler.
use_handler <- function(code) {
  handler <<- scratch$handler <- eval(parse(text = code, keep.source = FALSE), new.env(parent = globalenv()))
  version <- tryCatch(utils::packageVersion("httpuv"), error = function(e) package_version("1.6.9"))
  rook <<- list(
    rook.version = "1.1-0", rook.url_scheme = "http", rook.errors = rook_errors,
    rook.input = no_body, httpuv.version = version
  )
}

# http answers one request: list(variables, headers, the body's file, body).
http <- function(request) {
  variables <- c(rook, request[[1L]])
  variables$HEADERS <- request[[2L]]
  if (length(request[[4L]]) || nzchar(request[[3L]])) {
    body <- request_body(request[[3L]], request[[4L]])
    on.exit(body$close())
    variables$rook.input <- body$input
    req <- list2env(variables, NULL, emptyenv(), TRUE)
    delayedAssign(".bodyData", body$data(), environment(), req)
  } else {
    req <- list2env(variables, NULL, emptyenv(), TRUE)
  }
  scratch$req <- req
  response <- evaluate(http_call, NULL)
  if (inherits(response, "promise")) {
    response <- allowInterrupts(settled(response))
  }
  rook_response(response)
}

# settled waits for a promise. An error in a callback of later's is not this
# request's, who knows whose, unless nothing is left then that could settle it.
settled <- function(x) {
  state <- 0L
  value <- failed <- NULL
  promises::then(x, function(v) {
    value <<- v
    state <<- 1L
  }, function(e) {
    value <<- e
    state <<- 2L
  })
  while (state == 0L) {
    tryCatch(later::run_now(1), error = function(e) {
      failed <<- e
      stray_error(e)
    })
    if (state == 0L && !is.null(failed) && later::loop_empty()) {
      stop(failed)
    }
  }
  if (state == 1L) {
    return(value)
  }
  stop(if (inherits(value, "condition")) value else paste("the promise was rejected with", describe(value)))
}

# run_due runs the callbacks of later that are due when a request has been
# answered. They are nobody's request: an interrupt waits until they are done.
run_due <- function() {
  if (is.null(nothing_due)) {
    if (!isNamespaceLoaded("later")) {
      return(NULL)
    }
    loop <- later::global_loop() # to look it up takes longer than to ask it
    empty <- later::loop_empty
    nothing_due <<- function() empty(loop)
  }
  if (!nothing_due()) {
    tryCatch(later::run_now(0), error = stray_error)
  }
}
nothing_due <- NULL

stray_error <- function(e) {
  cat("Error in a callback of later: ", conditionMessage(e), "\n", sep = "", file = stderr())
}

rook_errors <- structure(class = "ErrorStream", list(
  cat = function(..., sep = " ", fill = FALSE, labels = NULL) {
    base::cat(..., sep = sep, fill = fill, labels = labels, file = stderr())
  },
  flush = function() base::flush(stderr())
))

# no_body is rook.input of a request without a body.
no_body <- structure(class = "NullInputStream", list(
  read_lines = function(n = -1L) character(),
  read = function(l = -1L) raw(),
  rewind = function() invisible(),
  close = function() invisible()
))

# request_body is the body of a request, in memory or in the file at path: input
# is its rook.input, data() its .bodyData, which share one position as they do in
# httpuv. A connection is made where one is needed: what is usual is read(), once.
request_body <- function(path, bytes) {
  con <- NULL
  named <- FALSE # con is a file()
  size <- if (nzchar(path)) file.size(path) else length(bytes)
  at <- 0 # while there is no con
  connection <- function() {
    if (is.null(con)) {
      named <<- nzchar(path)
      con <<- if (named) file(path, "rb") else rawConnection(bytes)
      if (at > 0) seek(con, at)
    }
    con
  }
  if (nzchar(path)) connection()
  input <- list(
    read_lines = function(n = -1L) readLines(connection(), n, warn = FALSE),
    read = function(l = -1L) {
      if (!is.null(con)) {
        if (l < 0) l <- size - seek(con)
        return(if (l == 0) raw() else readBin(con, raw(), l))
      }
      if (l < 0) l <- size - at
      n <- min(as.integer(l), size - at)
      if (n <= 0) {
        return(raw())
      }
      from <- at + 1
      at <<- at + n
      if (n == size) bytes else bytes[from:at]
    },
    rewind = function() {
      if (!is.null(con)) {
        return(seek(con, 0))
      }
      before <- at
      at <<- 0
      before
    }
  )
  class(input) <- "InputStream"
  list(
    input = input,
    data = function() {
      if (!named) {
        if (!is.null(con)) {
          at <<- seek(con)
          close(con)
        }
        con <<- file(tempfile("body"), "w+b")
        unlink(summary(con)$description)
        writeBin(bytes, con)
        seek(con, at, rw = "read")
        named <<- TRUE
      }
      con
    },
    close = function() if (!is.null(con)) close(con)
  )
}

# rook_response is a response as Go reads it: list(status, names, values, file,
# owned, body). What httpuv sends is sent, byte for byte; what it answers with an
# error of its own is an error that says why.
rook_response <- function(response) {
  if (!is.list(response) && !is.environment(response)) {
    malformed("it is ", describe(response), " instead of a list of status, headers and body")
  }
  status <- response[["status"]]
  if (!is.numeric(status) || length(status) != 1L || is.na(status) || status < 100 || status >= 1000) {
    malformed("its status is ", if (is.numeric(status)) paste(status, collapse = ", ") else describe(status))
  }
  headers <- response[["headers"]]
  values <- character()
  if (length(headers)) {
    values <- header_values(headers)
  }
  body <- response[["body"]]
  path <- ""
  owned <- 0L
  if (is.raw(body)) {
    attributes(body) <- NULL
  } else if (!is.null(names(body)) && "file" %in% names(body)) {
    path <- body_file(body[["file"]])
    owned <- as.integer("owned" %in% names(body) && isTRUE(as.logical(body[["owned"]])))
    if (send_files) {
      body <- readBin(path, raw(), file.size(path))
      if (owned) unlink(path)
      path <- ""
      owned <- 0L
    } else {
      body <- NULL
    }
  } else if (is.character(body) && length(body)) {
    body <- charToRaw(.subset2(body, 1L))
  } else if (is.numeric(body) || is.logical(body) || is.factor(body)) {
    body <- as.raw(unclass(body))
  } else if (!is.null(body)) {
    malformed("its body is ", describe(body))
  }
  list(as.integer(status), as.character(names(headers)), values, path, owned, body)
}

# header_values are the values of headers as text.
header_values <- function(headers) {
  known <- names(headers)
  if (is.null(known) || !all(nzchar(known))) {
    malformed("a header has no name")
  }
  if (!all(one <- lengths(headers) == 1L)) {
    malformed(
      "header ", known[!one][1L], " has ", lengths(headers)[!one][1L],
      " values; give each value a header of its own"
    )
  }
  vapply(headers, paste, "", USE.NAMES = FALSE)
}

body_file <- function(path) {
  if (!is.character(path) || length(path) != 1L || !file.exists(path) || dir.exists(path)) {
    malformed("there is no file ", paste(path, collapse = ", "), ", which is to be its body")
  }
  normalizePath(path)
}

malformed <- function(...) {
  stop(structure(class = c("rpipe_response", "error", "condition"), list(
    message = paste0("the handler's response cannot be sent: ", ...), call = NULL
  )))
}
