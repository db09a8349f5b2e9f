# The loop of an R worker: read a frame, run it, answer. Base R alone.
#
# A frame is a header of four little-endian 32-bit integers (length, 0, request
# id, kind) and a payload in R's serialization. wire.go is the other end and
# says what each kind carries.
#
# The loop runs with interrupts suspended and allows them in a user's code
# alone, so a SIGINT that comes late stays pending until the ping that Go sends
# after each SIGINT has swallowed it. One that somebody else sends to an idle
# worker's pid interrupts the next request: to swallow it before each would take
# 15 us of the 80 that one takes. Ctrl-C does not come here, since R processes
# lead groups of their own.

KIND_MAP <- 1L
KIND_CALL <- 2L
KIND_HTTP <- 3L
KIND_PING <- 5L
KIND_LOAD <- 16L
KIND_FORK <- 17L
KIND_TRY <- 18L
KIND_EXIT <- 19L
KIND_HELLO <- 32L
KIND_VALUE <- 33L
KIND_CONDITION <- 34L
KIND_PONG <- 35L
KIND_PID <- 36L

MAX_WARNINGS <- 50L
MAX_TRACE <- 50L
SMALL_WRITE <- 4096L

# What this process is; set by main() and again in each fork.
inp <- NULL        # connection that requests come by
out <- NULL        # connection that answers go by
max_frame <- 2^31 - 1
forked <- FALSE

incoming <- NULL   # payload of the request at hand, until it is read

traced <- FALSE    # TRACEPARENT is set

# What the request at hand has left behind, for its answer.
warned <- NULL
failure <- NULL
trace <- NULL

# The variables a request's call refers to; the call is evaluated here.
scratch <- new.env(parent = globalenv())
call_map <- list() # function name to the call `name(data)`

serve <- function() {
  repeat {
    head <- readBin(inp, "integer", 4L, 4L, TRUE, "little")
    if (length(head) < 4L) {
      return(NULL)
    }
    size <- head[1L]
    if (size < 0L || head[2L] != 0L || size > max_frame) {
      stop("a request of an impossible size came")
    }
    payload <- readBin(inp, "raw", size)
    if (length(payload) < size) {
      return(NULL)
    }
    kind <- head[4L]
    if (kind <= KIND_HTTP) {
      incoming <<- payload
      payload <- NULL
      run(head[3L], kind)
    } else if (kind == KIND_TASK) {
      incoming <<- payload
      payload <- NULL
      task(head[3L])
    } else if (kind == KIND_PING) {
      swallow_interrupt()
      send(head[3L], KIND_PONG, raw())
    } else if (kind == KIND_LOAD) {
      load_environment(head[3L], unserialize(payload))
    } else if (kind == KIND_FORK) {
      fork_process(head[3L], unserialize(payload))
    } else if (kind == KIND_TRY) {
      try_code(head[3L], unserialize(payload)[[1L]])
    } else if (kind == KIND_EXIT) {
      run_exit()
      send(head[3L], KIND_PONG, raw())
    } else {
      stop("a request of unknown kind ", kind, " came")
    }
  }
}

# send writes one frame. The header goes through the connection's own buffer,
# so a small frame is one write.
send <- function(id, kind, payload) {
  writeBin(c(length(payload), 0L, id, kind), out, 4L, "little")
  writeBin(payload, out)
  flush.connection(out)
}

# The elements before the value have no attributes: the value's own references
# then count from one, and Go cuts it out without reading it.
send_value <- function(id, cpu, value) {
  payload <- serialize(list(cpu, warned, value), NULL, xdr = FALSE, version = 2L)
  if (length(payload) > max_frame) {
    stop(too_large(length(payload)))
  }
  send(id, KIND_VALUE, payload)
}

send_condition <- function(id, cpu, cond) {
  call <- conditionCall(cond)
  if (identical(call, quote(eval(call, scratch)))) { # the user's own code has no call there
    call <- NULL
  }
  body <- list(
    cpu, utf8(warned), utf8(class(cond)), utf8(shorten(conditionMessage(cond), 65536L)),
    if (is.null(call)) "" else one_line(call), utf8(trace)
  )
  send(id, KIND_CONDITION, serialize(body, NULL, xdr = FALSE, version = 2L))
}

too_large <- function(size) {
  structure(class = c("rpipe_too_large", "error", "condition"), list(
    message = sprintf(
      "the value takes %.0f bytes, over the limit of %.0f bytes for one message",
      size, max_frame
    ), call = NULL
  ))
}

# run does one request and answers. That of a map or call is list(c(fun, traceparent, tracestate), seed, args,
# coded, value).
run <- function(id, kind) {
  warned <<- failure <<- trace <<- NULL
  before <- proc.time()
  cpu <- c(0, 0)
  # An exiting handler catches what calling handlers are not told of, such as an
  # overflow of the stack.
  tryCatch(
    {
      value <- guarded(kind)
      after <- proc.time()
      cpu <- c(
        .subset2(after, 1L) - .subset2(before, 1L) + (.subset2(after, 4L) - .subset2(before, 4L)),
        .subset2(after, 2L) - .subset2(before, 2L) + (.subset2(after, 5L) - .subset2(before, 5L))
      )
      tidy()
      if (is.null(failure)) {
        send_value(id, cpu, value)
      }
    },
    error = on_failure
  )
  if (!is.null(failure)) {
    tidy()
    send_condition(id, cpu, failure)
  }
  if (kind == KIND_HTTP) {
    run_due()
  }
}

# guarded runs a request with its handlers; a failure ends it with NULL. Forcing
# `escape` returns from here: a handler of tryCatch() for interrupts too would
# cost as much as the rest of the loop.
guarded <- function(kind) {
  delayedAssign("escape", return(NULL))
  withCallingHandlers(
    switch(kind, map(take()), call_function(take()), http(take())),
    warning = on_warning,
    error = on_error,
    interrupt = function(i) {
      failure <<- interrupted
      escape
    }
  )
}

# trace_context tells the code of a request whose trace it is part of, c(traceparent,
# tracestate), where it is part of one: in the variables by which OpenTelemetry does so.
trace_context <- function(w3c) {
  if (length(w3c)) {
    .Internal(Sys.setenv(c("TRACEPARENT", "TRACESTATE"), w3c))
    traced <<- TRUE
  } else if (traced) {
    .Internal(Sys.unsetenv(c("TRACEPARENT", "TRACESTATE")))
    traced <<- FALSE
  }
}

# take is the request that has come. Its bytes are let go before any of it runs.
take <- function() {
  request <- unserialize(incoming)
  incoming <<- NULL
  request
}

interrupted <- structure(
  class = c("interrupt", "condition"), list(message = "interrupted", call = NULL)
)

# tidy lets go of the request's values and ends what it left open. stdout() is
# not connection 1 while a sink is in place.
tidy <- function() {
  scratch$data <- scratch$args <- scratch$fun <- scratch$req <- NULL
  if (stdout() != 1L) {
    while (sink.number() > 0L) sink()
  }
  flush.connection(stdout())
}

on_warning <- function(w) {
  if (length(warned) < MAX_WARNINGS) {
    warned <<- c(warned, enc2utf8(conditionMessage(w)))
  }
  if (!is.null(findRestart("muffleWarning", w))) {
    invokeRestart("muffleWarning")
  }
}

on_error <- function(e) {
  trace <<- user_calls(sys.calls())
}

on_failure <- function(e) {
  failure <<- e
  NULL
}

map <- function(request) {
  name <- request[[1L]][1L]
  trace_context(request[[1L]][-1L])
  args <- request[[3L]]
  if (is.null(args)) {
    call <- call_map[[name]]
    if (is.null(call)) {
      call <- as.call(list(function_name(name), quote(data)))
      call_map[[name]] <<- call
    }
  } else {
    args <- unserialize(args)
    scratch$args <- args
    call <- as.call(c(list(function_name(name), quote(data)), argument_refs(args)))
  }
  if (is.symbol(call[[1L]]) && is.null(get0(name, globalenv(), mode = "function"))) {
    stop(no_function(name))
  }
  coded <- request[[4L]]
  scratch$data <- if (is.null(coded)) request[[5L]] else decoded(request[[5L]], coded)
  value <- evaluate(call, request[[2L]])
  if (!is.data.frame(value)) {
    stop(structure(
      class = c("rpipe_not_a_data_frame", "error", "condition"),
      list(message = sprintf(
        "%s() returned %s; a map function must return a data.frame", name, describe(value)
      ), call = call)
    ))
  }
  if (is.null(coded)) value else lightened(value, request[[5L]], coded)
}

# decoded turns columns that came as codes with levels into the text that they
# stand for. `[[<-` of a data frame would take longer than the rest.
decoded <- function(data, columns) {
  class(data) <- NULL
  for (i in columns) {
    codes <- data[[i]]
    data[[i]] <- attr(codes, "levels")[codes]
  }
  class(data) <- "data.frame"
  data
}

# lightened puts NULL in place of columns of text that came as codes and go back
# as they were: Go has them. They are compared with a new copy, since code may
# change a vector in place. A list() of its own keeps the value's class out of it.
lightened <- function(value, sent, columns) {
  known <- names(sent)[columns]
  columns <- columns[known %in% names(value)]
  if (!length(columns)) {
    return(value)
  }
  kept <- class(value)
  class(value) <- NULL
  for (i in columns) {
    name <- names(sent)[i]
    codes <- .subset2(sent, i)
    if (identical(value[[name]], attr(codes, "levels")[codes])) {
      value[name] <- list(NULL)
    }
  }
  class(value) <- kept
  value
}

call_function <- function(request) {
  trace_context(request[[1L]][-1L])
  fun <- request[[5L]][[1L]]
  args <- request[[5L]][[2L]]
  if (is.character(fun)) {
    head <- function_name(fun)
    if (is.symbol(head) && is.null(get0(fun, globalenv(), mode = "function"))) {
      stop(no_function(fun))
    }
  } else {
    scratch$fun <- fun
    head <- quote(fun)
  }
  scratch$args <- args
  evaluate(as.call(c(list(head), argument_refs(args))), request[[2L]])
}

# evaluate runs a user's call, the only place where an interrupt may strike.
# Its result is forced inside allowInterrupts().
evaluate <- function(call, seed) {
  if (is.null(seed)) {
    allowInterrupts(eval(call, scratch))
  } else {
    old <- get0(".Random.seed", globalenv(), inherits = FALSE)
    on.exit(restore_seed(old))
    assign(".Random.seed", c(10407L, seed), globalenv())
    allowInterrupts(eval(call, scratch))
  }
}

# restore_seed puts the worker's own stream back after a request with a seed. A
# worker that had none gets one of the default kinds.
restore_seed <- function(old) {
  if (is.null(old)) {
    RNGkind("default", "default", "default")
    set.seed(NULL)
  } else {
    assign(".Random.seed", old, globalenv())
  }
}

# A SIGINT that came while nothing of the user's ran is pending still: let it
# strike here, where it harms nobody. Sys.sleep() looks for it.
swallow_interrupt <- function() {
  tryCatch(allowInterrupts(Sys.sleep(0)), interrupt = function(i) NULL)
}

# function_name is the head of a call: a symbol, or pkg::name.
function_name <- function(name) {
  if (grepl("::", name, fixed = TRUE)) str2lang(name) else as.name(name)
}

# argument_refs are `args[[i]]` under the names of args, so that neither calls in
# tracebacks nor substitute() meet the values themselves.
argument_refs <- function(args) {
  refs <- lapply(seq_along(args), function(i) call("[[", quote(args), i))
  names(refs) <- names(args)
  refs
}

describe <- function(x) {
  if (is.null(x)) {
    "NULL"
  } else if (is.object(x) || is.list(x) || !is.vector(x)) {
    paste("a value of class", paste(class(x), collapse = "/"))
  } else {
    article <- if (grepl("^[aeiou]", class(x)[1L])) "an" else "a"
    sprintf("%s %s of length %d", article, class(x)[1L], length(x))
  }
}

no_function <- function(name) {
  known <- ls(globalenv(), all.names = FALSE)
  known <- known[vapply(known, exists, NA, envir = globalenv(), mode = "function", inherits = FALSE)]
  distance <- if (length(known)) utils::adist(name, known, ignore.case = TRUE)[1L, ] else numeric()
  near <- known[distance <= max(2, nchar(name) %/% 3)]
  near <- near[order(distance[distance <= max(2, nchar(name) %/% 3)])]
  hint <- if (length(near)) {
    paste0("; did you mean ", paste(utils::head(near, 3L), collapse = " or "), "?")
  } else if (length(known)) {
    paste0("; the sources define ", paste(utils::head(known, 10L), collapse = ", "))
  } else {
    "; the sources define no function"
  }
  structure(
    class = c("rpipe_no_function", "error", "condition"),
    list(message = paste0("there is no function ", name, "()", hint), call = NULL)
  )
}

# user_calls drops the frames of this script around the user's own: those up to
# eval() in evaluate(), and the handlers at the end.
user_calls <- function(calls) {
  base <- 0L
  for (i in seq_along(calls)) {
    if (identical(calls[[i]], quote(eval(call, scratch)))) {
      base <- i
      break
    }
  }
  if (base == 0L) {
    return(NULL)
  }
  calls <- calls[-seq_len(base)]
  # eval() stands twice: the closure and the context of the builtin below it.
  while (length(calls) && identical(calls[[1L]], quote(eval(call, scratch)))) {
    calls <- calls[-1L]
  }
  last <- length(calls)
  while (last > 0L && handler_frame(calls[[last]])) {
    last <- last - 1L
  }
  calls <- calls[seq_len(last)]
  if (length(calls) > MAX_TRACE) {
    left <- length(calls) - MAX_TRACE
    calls <- calls[-(seq_len(left) + MAX_TRACE %/% 2L)]
    lines <- vapply(calls, located, "")
    return(append(lines, sprintf("... %d calls left out ...", left), MAX_TRACE %/% 2L))
  }
  vapply(calls, located, "")
}

handler_frame <- function(call) {
  head <- call[[1L]]
  is.function(head) || identical(head, quote(h)) || identical(head, quote(.handleSimpleError))
}

# located is a call with the file and line it stands at, where these are known.
located <- function(call) {
  text <- one_line(call)
  ref <- attr(call, "srcref")
  if (is.null(ref)) {
    return(text)
  }
  file <- attr(ref, "srcfile")$filename
  if (is.null(file) || !nzchar(file)) {
    return(text)
  }
  paste0(text, " at ", basename(file), ":", ref[1L])
}

one_line <- function(call) {
  utf8(shorten(trimws(deparse(call, width.cutoff = 120L, nlines = 1L)[1L]), 200L))
}

shorten <- function(text, width) {
  text <- paste(text, collapse = "\n")
  if (nchar(text, "bytes") <= width) {
    return(text)
  }
  paste0(substr(text, 1L, width %/% 4L), "...")
}

utf8 <- function(x) {
  if (is.null(x)) NULL else iconv(enc2utf8(as.character(x)), "UTF-8", "UTF-8", sub = "byte")
}
