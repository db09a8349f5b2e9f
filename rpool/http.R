# HTTP requests: a Rook environment in, a Rook response out. Base R alone; later
# and promises are used where a handler answers with a promise, which loads them.

# The environment's handler, a function of a request; NULL for none.
handler <- NULL

http <- function(request) {
  values <- as.list(request[[2L]])
  names(values) <- request[[1L]]
  req <- list2env(values, parent = emptyenv())
  headers <- request[[4L]]
  names(headers) <- request[[3L]]
  req$HEADERS <- headers
  req$rook.input <- body_input(request[[5L]], request[[6L]])
  req$rook.errors <- rook_errors
  response <- allowInterrupts(settled(handler(req)))
  rook_response(response)
}

# settled waits for a promise.
settled <- function(x) {
  if (!inherits(x, "promise")) {
    return(x)
  }
  done <- FALSE
  value <- failed <- NULL
  promises::then(x, function(v) {
    value <<- v
    done <<- TRUE
  }, function(e) {
    failed <<- e
    done <<- TRUE
  })
  while (!done) later::run_now(1)
  if (!is.null(failed)) stop(failed)
  value
}

# body_input is the request's body as httpuv gives it.
body_input <- function(path, body) {
  if (nzchar(path)) {
    body <- readBin(path, "raw", file.size(path))
  }
  at <- 0L
  size <- length(body)
  list(
    read = function(l = -1L) {
      n <- if (l < 0L) size - at else min(l, size - at)
      if (n <= 0L) {
        return(raw())
      }
      from <- at + 1L
      at <<- at + n
      body[from:at]
    },
    read_lines = function(n = -1L) {
      con <- rawConnection(if (at < size) body[(at + 1L):size] else raw())
      on.exit(close(con))
      at <<- size
      readLines(con, n, warn = FALSE)
    },
    rewind = function() {
      at <<- 0L
      invisible(0)
    }
  )
}

rook_errors <- list(
  cat = function(...) base::cat(..., file = stderr()),
  flush = function() base::flush(stderr())
)

# rook_response is a response as Go reads it: list(status, names, values, file,
# owned, body).
rook_response <- function(response) {
  headers <- response[["headers"]]
  body <- response[["body"]]
  path <- ""
  owned <- 0L
  if (is.character(body) && identical(names(body)[1L], "file") || is.list(body)) {
    path <- normalizePath(body[["file"]])
    owned <- as.integer(is.list(body) && isTRUE(body[["owned"]]))
    body <- NULL
  } else if (is.character(body)) {
    body <- charToRaw(paste(enc2utf8(unclass(body)), collapse = ""))
  }
  list(
    as.integer(response[["status"]]),
    as.character(names(headers)),
    vapply(headers, function(v) paste(v, collapse = ","), "", USE.NAMES = FALSE),
    path, owned, body
  )
}
