# For development: what has failed in a request and where, which plumber prints
# and forgets.

seen <- new.env()

# watch has a router, and those below it, note what fails: endpoints and filters
# with their calls, before plumber catches the error; and what reaches the error
# handlers, since errors of serializers, hooks and promises come by no endpoint.
watch <- function(pr, depth = 0L) {
  private <- private_of(pr)
  for (step in c(private$filts, unlist(private$ends, use.names = FALSE))) {
    step$registerHook("aroundexec", watching(step))
  }
  handler <- private$errorHandler
  pr$setErrorHandler(function(req, res, err) {
    if (is.null(seen$condition)) note(err, NULL)
    handler(req, res, err)
  })
  if (depth < 20L) {
    for (mount in pr$mounts) watch(mount, depth + 1L)
  }
}

# watching is a hook around one endpoint or filter.
watching <- function(step) {
  force(step)
  function(..., .next) {
    withCallingHandlers(.next(...), error = function(e) {
      note(e, calls_of(step, sys.calls(), sys.functions()))
    })
  }
}

note <- function(condition, calls) {
  if (!inherits(condition, "condition")) {
    condition <- simpleError(paste(format(condition), collapse = "\n"))
  }
  seen$condition <- condition
  seen$calls <- calls
}

sys.functions <- function() lapply(seq_len(sys.nframe() - 1L), sys.function)

# calls_of are the user's calls, the endpoint first, each with its file and line.
calls_of <- function(step, calls, functions) {
  func <- private_of(step)$func
  first <- 0L
  for (i in rev(seq_along(functions))) {
    if (identical(functions[[i]], func)) {
      first <- i
      break
    }
  }
  if (first == 0L) {
    return(NULL)
  }
  last <- length(calls)
  while (last > first && is_handler_call(calls[[last]])) last <- last - 1L
  lines <- paste0(step_name(step), place(attr(func, "srcref")))
  if (last > first) {
    inner <- calls[(first + 1L):last]
    lines <- c(lines, vapply(inner, function(call) {
      paste0(shown(call), place(attr(call, "srcref")))
    }, ""))
  }
  lines
}

is_handler_call <- function(call) {
  head <- call[[1L]]
  is.function(head) || identical(head, quote(h)) || identical(head, quote(.handleSimpleError)) ||
    identical(head, quote(calls_of)) || identical(head, quote(note))
}

step_name <- function(step) {
  if (inherits(step, "PlumberEndpoint")) {
    paste(paste(step$verbs, collapse = ","), step$path)
  } else {
    paste("filter", step$name)
  }
}

shown <- function(call) {
  text <- trimws(deparse(call, width.cutoff = 120L, nlines = 1L)[1L])
  if (nchar(text) > 200L) paste0(substr(text, 1L, 200L), "...") else text
}

place <- function(ref) {
  file <- attr(ref, "srcfile")$filename
  if (is.null(file) || !nzchar(file)) "" else paste0(" at ", basename(file), ":", ref[1L])
}

# with_condition adds what failed to an answer that says that something did, in a
# header that Go takes off again.
with_condition <- function(response) {
  condition <- seen$condition
  seen$condition <- NULL
  if (is.null(condition) || response$status < 500) {
    return(response)
  }
  call <- conditionCall(condition)
  response$headers <- c(response$headers, list("rpipe-condition" = jsonlite::toJSON(
    list(
      classes = as.list(class(condition)), message = conditionMessage(condition),
      call = if (is.null(call) || is.function(call[[1L]])) "" else shown(call),
      traceback = as.list(seen$calls)
    ),
    auto_unbox = TRUE
  )))
  response
}
