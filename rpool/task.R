# Tasks: a plan, which many of them share and which stays here, and an element.
# task.go says what each field is, and what of a task outlives it. Base R alone.

KIND_TASK <- 4L
KIND_PROGRESS <- 37L
KIND_RESULT <- 38L
KIND_UNKNOWN <- 39L

MAX_PROGRESS <- 2^20 # bytes
MAX_TOLD <- 65536L   # bytes of one message or warning
PLAN_SIZE <- 16384   # bytes that a plan is taken for

# What has been read, by key: environments with size, stamp, and a plan or a value.
store <- new.env(parent = emptyenv())
stored <- 0     # bytes of them
stamp <- 0      # counts tasks; an entry has that of its last use

telling <- FALSE       # lines and progress go to Go as they come
reply_to <- 0L         # the request at hand
base_globals <- NULL   # names in the global environment before the first task
base_count <- -1L      # how many
base_values <- NULL    # what those without a dot are; NULL where that is not to be looked at
base_options <- NULL   # .Options
base_env <- NULL       # environment variables, as name=value
base_ids <- NULL       # which of them are those that tell a task who it is
base_search <- NULL    # search()
base_loaded <- 0L      # how many namespaces are loaded
wanted <- character()  # packages that the plan at hand has attached beyond base_search
found <- NULL          # search() with those
base_dir <- ""
base_pid <- 0L

# task runs the task that has come: list(key, seed, ids, events, path, most, plan,
# element), where plan is NULL if it should be here.
task <- function(id) {
  warned <<- failure <<- trace <<- NULL
  before <- proc.time()
  request <- take()
  plan <- request[[7L]]
  if (is.null(plan) && !known(request[[1L]])) {
    return(send(id, KIND_UNKNOWN, raw()))
  }
  telling <<- request[[4L]] != 0L
  reply_to <<- id
  path <- request[[5L]]
  most <- request[[6L]]
  ids <- request[[3L]]
  .Internal(Sys.setenv(ID_VARIABLES[1:3], ids[1:3]))
  trace_context(ids[-(1:3)])
  if (base_count < 0L) {
    note_base()
  }
  tryCatch(
    {
      value <- guarded_task(request)
      request <- NULL
      cpu <- cpu_since(before)
      tidy_task()
      if (is.null(failure)) {
        send_result(id, cpu, value, path, most)
      }
    },
    error = on_failure
  )
  if (!is.null(failure)) {
    tidy_task()
    send_condition(id, cpu_since(before), failure)
  }
  telling <<- FALSE
}

cpu_since <- function(before) {
  after <- proc.time()
  c(
    .subset2(after, 1L) - .subset2(before, 1L) + (.subset2(after, 4L) - .subset2(before, 4L)),
    .subset2(after, 2L) - .subset2(before, 2L) + (.subset2(after, 5L) - .subset2(before, 5L))
  )
}

# guarded_task is guarded() for tasks, which are listened to.
guarded_task <- function(request) {
  delayedAssign("escape", return(NULL))
  withCallingHandlers(
    perform(request),
    warning = on_task_warning,
    message = on_message,
    rpipe_progress = on_progress,
    progress = on_progress,
    error = on_error,
    interrupt = function(i) {
      failure <<- interrupted
      escape
    }
  )
}

# perform is one task: what its call refers to is in an environment of its own.
perform <- function(request) {
  stamp <<- stamp + 1
  key <- request[[1L]]
  plan <- if (is.null(request[[7L]])) fetch(key)$plan else learn(key, request[[7L]])
  if (!identical(plan$missing, wanted)) fit_packages(plan$missing)
  own <- new.env(parent = globalenv())
  element <- request[[8L]]
  if (is.character(element)) {
    element <- from_file(element)
  } else if (!is.null(element)) {
    element <- unserialize(element)
  }
  call <- if (plan$expr) bind_variables(plan, own, element) else bind_arguments(plan, own, element, request[[8L]])
  seed <- request[[2L]]
  request <- NULL
  evaluate_task(call, own, seed)
}

# evaluate_task is evaluate() in an environment of its own. What user_calls() looks
# for is the call of eval() as it stands here.
evaluate_task <- function(call, scratch, seed) {
  if (is.null(seed)) {
    allowInterrupts(eval(call, scratch))
  } else {
    old <- get0(".Random.seed", globalenv(), inherits = FALSE)
    on.exit(restore_seed(old))
    assign(".Random.seed", c(10407L, seed), globalenv())
    allowInterrupts(eval(call, scratch))
  }
}

bind_variables <- function(plan, own, element) {
  for (i in seq_along(plan$keys)) {
    own[[plan$names[i]]] <- shared(plan$keys[i])
  }
  if (plan$rows) {
    list2env(as.list(element), own)
  } else if (!is.null(element)) {
    own[[plan$over]] <- element
  }
  code <- shared(plan$code)
  if (is.function(code)) stop(odd_code("a function, where an expression was promised"))
  code
}

bind_arguments <- function(plan, own, element, given) {
  if (length(plan$keys)) {
    args <- vector("list", length(plan$keys))
    for (i in seq_along(args)) {
      value <- shared(plan$keys[i])
      if (!is.null(value)) args[[i]] <- value
    }
    own$args <- args
  }
  if (is.null(plan$head)) {
    own$fun <- shared(plan$code)
    if (!is.function(own$fun)) {
      stop(odd_code(paste0(describe(own$fun), ", where a function was promised")))
    }
  } else if (is.symbol(plan$head) && is.null(get0(as.character(plan$head), globalenv(), mode = "function"))) {
    stop(no_function(as.character(plan$head)))
  }
  if (is.null(given)) {
    return(plan$call)
  }
  own$x <- element
  if (!plan$rows) {
    return(plan$call_x)
  }
  refs <- lapply(seq_along(element), function(i) call("[[", quote(x), i))
  names(refs) <- names(element)
  as.call(c(as.list(plan$call)[1L], refs, as.list(plan$call)[-1L]))
}

odd_code <- function(what) {
  structure(class = c("rpipe_code", "error", "condition"), list(
    message = paste("the code of the task is", what), call = NULL
  ))
}

# learn keeps a plan: list(text, expr, rows, over, packages, cache, names, code,
# args), each value as in value_of().
learn <- function(key, spec) {
  limit <- spec[[6L]]
  plan <- new.env(parent = emptyenv())
  plan$expr <- spec[[2L]] != 0L
  plan$rows <- spec[[3L]] != 0L
  plan$missing <- sprintf("package:%s", spec[[5L]])
  plan$names <- spec[[7L]]
  plan$code <- value_key(spec[[8L]], paste0(key, " code"))
  if (spec[[1L]] != 0L) plan$code <- paste(plan$code, if (plan$expr) "expr" else "fun") # one text may be both
  plan$keys <- vapply(seq_along(spec[[9L]]), function(i) value_key(spec[[9L]][[i]], paste(key, i)), "")
  over <- spec[[4L]]
  head <- quote(fun)
  text <- if (spec[[1L]] != 0L) code_text(spec[[8L]])
  if (!plan$expr && !is.null(text) && !startsWith(text, "function(") && grepl(FUNCTION_NAME, text)) {
    head <- plan$head <- function_name(text)
  } else {
    keep(plan$code, spec[[8L]], limit, function(v) parsed(text, plan$expr), is.null(text), "the code of the task")
  }
  for (i in seq_along(plan$keys)) {
    what <- if (nzchar(plan$names[i])) paste("argument", plan$names[i]) else paste("argument", i)
    keep(plan$keys[i], spec[[9L]][[i]], limit, NULL, TRUE, paste(what, "of the task"))
  }
  if (!plan$expr) {
    refs <- lapply(seq_along(plan$keys), function(i) call("[[", quote(args), i))
    names(refs) <- plan$names
    plan$call <- as.call(c(list(head), refs))
    x <- list(quote(x))
    if (nzchar(over)) names(x) <- over
    plan$call_x <- as.call(c(list(head), x, refs))
  }
  plan$over <- if (nzchar(over)) over else "x"
  put(key, PLAN_SIZE, list(plan = plan))
  evict(limit)
  plan
}

# A function's name, with or without that of its package.
FUNCTION_NAME <- "^([A-Za-z][A-Za-z0-9.]*:::?)?([A-Za-z]|[.][A-Za-z._])[A-Za-z0-9._]*$"

code_text <- function(v) {
  text <- if (nzchar(v[[2L]])) readChar(v[[2L]], v[[3L]], useBytes = TRUE) else rawToChar(v[[4L]])
  Encoding(text) <- "UTF-8"
  if (grepl("^[ \t\r\n]|[ \t\r\n]$", text)) trimws(text) else text
}

# parsed is an expression, or the value of one, which is a function.
parsed <- function(text, expr) {
  exprs <- tryCatch(parse(text = text, keep.source = FALSE), error = function(e) {
    stop(structure(class = c("rpipe_code", "error", "condition"), list(
      message = paste0("the code of the task cannot be parsed: ", sub("^<text>:", "line ", conditionMessage(e))), call = NULL
    )))
  })
  if (expr) exprs else eval(exprs, globalenv())
}

# value_key is under what a value is kept.
value_key <- function(v, otherwise) if (nzchar(v[[1L]])) v[[1L]] else otherwise

# value_of reads a value: list(key, file, size, raw, count, names), of a file or bytes,
# and where count is not 0 of so many streams in a row, which make a list.
value_of <- function(v) {
  count <- v[[5L]]
  if (count == 0L) {
    return(if (nzchar(v[[2L]])) from_file(v[[2L]]) else unserialize(v[[4L]]))
  }
  con <- if (nzchar(v[[2L]])) file(v[[2L]], "rb") else rawConnection(v[[4L]])
  on.exit(close(con))
  value <- lapply(seq_len(count), function(i) unserialize(con))
  if (length(v[[6L]])) names(value) <- v[[6L]]
  value
}

from_file <- function(path) {
  con <- file(path, "rb")
  on.exit(close(con))
  unserialize(con)
}

# keep reads a value, unless it is here, and stores it. What a task can change in
# place is stored as it came, and read for each task anew.
keep <- function(key, v, limit, parse, changeable, what) {
  if (!is.null(fetch(key))) {
    return(NULL)
  }
  size <- v[[3L]]
  if (size > 0 && stored + size > limit) {
    evict(limit - size)
  }
  value <- if (is.null(parse) || changeable) {
    tryCatch(value_of(v), error = function(e) {
      stop(structure(class = c("rpipe_value", "error", "condition"), list(
        message = paste0(what, " cannot be read: ", conditionMessage(e)), call = NULL
      )))
    })
  } else {
    parse(v)
  }
  entry <- if (changeable && size < 2^31 && mutable(value)) {
    list(again = if (nzchar(v[[2L]])) list(v[[1L]], "", size, readBin(v[[2L]], raw(), size), v[[5L]], v[[6L]]) else v)
  } else {
    list(value = value)
  }
  put(key, size, entry)
}

# mutable reports whether something of x could be changed without a copy being made.
mutable <- function(x) {
  switch(typeof(x),
    closure = !shared_environment(environment(x)),
    environment = !shared_environment(x),
    externalptr = , weakref = TRUE,
    S4 = TRUE,
    list = {
      if (inherits(x, "data.table")) return(TRUE)
      for (e in if (is.object(x)) unclass(x) else x) if (mutable(e)) return(TRUE)
      mutable_attributes(x)
    },
    mutable_attributes(x)
  )
}

mutable_attributes <- function(x) {
  a <- attributes(x)
  if (is.null(a)) {
    return(FALSE)
  }
  for (name in names(a)) {
    # A formula's environment is for looking things up, as is that of sources.
    if (!name %in% c(".Environment", "srcref", "srcfile", "wholeSrcref") && mutable(a[[name]])) return(TRUE)
  }
  FALSE
}

shared_environment <- function(e) {
  is.null(e) || identical(e, globalenv()) || identical(e, baseenv()) || identical(e, emptyenv()) || isNamespace(e)
}

known <- function(key) {
  entry <- store[[key]]
  if (is.null(entry)) {
    return(FALSE)
  }
  plan <- entry$plan
  for (k in plan$keys) {
    if (is.null(store[[k]])) return(FALSE)
  }
  !is.null(plan$head) || !is.null(store[[plan$code]])
}

fetch <- function(key) {
  entry <- store[[key]]
  if (!is.null(entry)) entry$stamp <- stamp
  entry
}

shared <- function(key) {
  entry <- fetch(key)
  if (is.null(entry$again)) entry$value else value_of(entry$again)
}

put <- function(key, size, content) {
  old <- store[[key]]
  if (!is.null(old)) stored <<- stored - old$size
  entry <- new.env(FALSE, emptyenv(), 4L)
  for (name in names(content)) assign(name, content[[name]], envir = entry) # a value may be NULL
  entry$size <- size
  entry$stamp <- stamp
  store[[key]] <- entry
  stored <<- stored + size
}

# evict drops what has not been used for the longest time, and some more than limit
# asks for, so that it is not called for each task. What this task has used stays.
evict <- function(limit) {
  if (stored <= limit) {
    return(NULL)
  }
  limit <- 0.8 * limit
  keys <- names(store)
  last <- vapply(keys, function(k) store[[k]]$stamp, 0)
  for (k in keys[order(last)]) {
    entry <- store[[k]]
    if (stored <= limit || entry$stamp == stamp) break
    stored <<- stored - entry$size
    rm(list = k, envir = store)
  }
}

attach_package <- function(name) {
  name <- substring(name, 9L)
  tryCatch(
    suppressPackageStartupMessages(library(name, character.only = TRUE)),
    error = function(e) {
      stop(structure(class = c("rpipe_package", "packageNotFoundError", "error", "condition"), list(
        message = paste0("package ", name, ", which the task needs, cannot be attached: ", conditionMessage(e)), call = NULL
      )))
    }
  )
}

ID_VARIABLES <- c("RPIPE_TASK_ID", "RPIPE_ATTEMPT", "RPIPE_WORKER_ID")

# note_base is what the global environment, options, environment variables, attached
# packages, the working directory and this process are without any task.
note_base <- function() {
  base_globals <<- c(names(globalenv()), ".Random.seed")
  base_count <<- length(globalenv())
  active <- vapply(ls(globalenv()), bindingIsActive, NA, globalenv()) # to look at one is to call it
  base_values <<- if (!any(active)) as.list.environment(globalenv())
  base_options <<- as.pairlist(as.list(.Options)) # .Options itself is changed in place
  note_env()
  base_search <<- found <<- search()
  base_loaded <<- length(loadedNamespaces())
  base_dir <<- getwd()
  base_pid <<- Sys.getpid()
}

# own_env are the environment variables but for those of a trace, which some requests have.
own_env <- function() {
  env <- .Internal(Sys.getenv(character(), ""))
  if (traced) env[!grepl("^TRACE(PARENT|STATE)=", env)] else env
}

note_env <- function() {
  base_env <<- own_env()
  base_ids <<- match(ID_VARIABLES, sub("=.*", "", base_env))
}

# fit_packages attaches what a plan wants, in place of what the last one did.
fit_packages <- function(names) {
  wanted <<- character()
  detach_beyond(base_search)
  found <<- search()
  for (name in names) {
    if (!name %in% search()) attach_package(name)
  }
  wanted <<- names
  found <<- search()
}

# detach_beyond leaves namespaces loaded: to unload them is not safe in R.
detach_beyond <- function(keep) {
  for (name in setdiff(search(), keep)) {
    tryCatch(detach(name, character.only = TRUE, force = TRUE), error = function(e) NULL)
  }
}

# tidy_task lets go of what the task has left: sinks, variables, options, environment
# variables, attached packages, its working directory. What it looks at costs some
# microseconds; what it does only where there is something to do.
tidy_task <- function() {
  if (stdout() != 1L) {
    while (sink.number() > 0L) sink()
  }
  if (.Internal(sink.number(FALSE)) != 2L) sink(type = "message")
  flush.connection(stdout())
  if (length(globalenv()) != base_count) {
    extra <- setdiff(names(globalenv()), base_globals)
    rm(list = extra, envir = globalenv())
    base_count <<- length(globalenv())
  }
  if (!is.null(base_values) && !identical(as.list.environment(globalenv()), base_values)) restore_globals()
  loaded <- length(loadedNamespaces())
  if (!identical(.Options, base_options)) restore_options(loaded > base_loaded)
  env <- own_env()
  env[base_ids] <- base_env[base_ids]
  if (!identical(env, base_env)) restore_env(loaded > base_loaded)
  base_loaded <<- loaded
  if (!identical(search(), found)) restore_search()
  if (!identical(.Internal(getwd()), base_dir)) {
    tryCatch(setwd(base_dir), error = function(e) NULL)
  }
}

restore_globals <- function() {
  now <- as.list.environment(globalenv())
  for (name in names(base_values)) {
    if (!identical(now[[name]], base_values[[name]])) {
      tryCatch(assign(name, base_values[[name]], globalenv()), error = function(e) NULL) # it is locked
    }
  }
  base_values <<- as.list.environment(globalenv()) # which may be in another order
  base_count <<- length(globalenv())
}

# What is new where the task has loaded a namespace may be that one's, and stays.
restore_options <- function(loaded) {
  base <- as.list(base_options)
  extra <- setdiff(names(.Options), names(base))
  if (loaded) extra <- NULL
  tryCatch(options(c(base, structure(vector("list", length(extra)), names = extra))), error = function(e) NULL)
  base_options <<- as.pairlist(as.list(.Options))
}

restore_env <- function(loaded) {
  name_of <- function(x) sub("=.*", "", x)
  now <- own_env()
  extra <- setdiff(name_of(now), name_of(base_env))
  if (length(extra) && !loaded) Sys.unsetenv(extra)
  changed <- setdiff(base_env, now)
  if (length(changed)) do.call(Sys.setenv, structure(as.list(sub("^[^=]*=", "", changed)), names = name_of(changed)))
  note_env()
}

restore_search <- function() {
  detach_beyond(found)
  for (name in setdiff(found, search())) { # it has detached one
    if (startsWith(name, "package:")) tryCatch(attach_package(name), error = function(e) NULL)
  }
  found <<- search()
}

# told writes a line of a kind other than stdout into stdout's own stream, so that
# they stay in order: see teller in task_events.go.
told <- function(kind, text) {
  text <- gsub("[\036\037]", "", shorten(utf8(text), MAX_TOLD))
  suspendInterrupts(cat(paste0("\036", kind, text, "\037"), file = stderr()))
}

on_message <- function(m) {
  if (telling && .Internal(sink.number(FALSE)) == 2L) {
    told("M", sub("\n$", "", conditionMessage(m)))
    if (!is.null(findRestart("muffleMessage", m))) {
      invokeRestart("muffleMessage")
    }
  }
}

on_task_warning <- function(w) {
  if (telling && .Internal(sink.number(FALSE)) == 2L) {
    told("W", conditionMessage(w))
  }
  on_warning(w)
}

# Forks that the task has made must not write to the wire, which is the worker's own.
on_progress <- function(p) {
  if (!telling || Sys.getpid() != base_pid) {
    return(NULL)
  }
  value <- if (inherits(p, "rpipe_progress")) p$value else p$message
  bytes <- serialize(value, NULL, xdr = FALSE, version = 2L)
  if (length(bytes) > MAX_PROGRESS) {
    told("W", sprintf("progress of %.0f bytes is left out: it may have %.0f", length(bytes), MAX_PROGRESS))
  } else {
    suspendInterrupts(send(reply_to, KIND_PROGRESS, bytes))
  }
}

# send_result answers with list(cpu, warnings, file, size, value): in a file where it
# is large, which is written without a copy of it in memory.
send_result <- function(id, cpu, value, path, most) {
  large <- if (is.atomic(value) && !is.character(value) && is.null(attributes(value))) {
    16 * length(value)
  } else {
    utils::object.size(value)
  }
  if (length(path) && large > most) {
    return(send_file(id, cpu, value, path))
  }
  payload <- serialize(list(cpu, warned, "", 0, value), NULL, xdr = FALSE, version = 2L)
  if (length(path) && length(payload) > most) { # environments do not show in object.size()
    payload <- NULL
    return(send_file(id, cpu, value, path))
  }
  if (length(payload) > max_frame) {
    stop(too_large(length(payload)))
  }
  send(id, KIND_RESULT, payload)
}

send_file <- function(id, cpu, value, path) {
  if (!nzchar(path)) path <- tempfile("result")
  done <- FALSE
  on.exit(if (!done) unlink(path))
  con <- file(path, "wb")
  tryCatch(serialize(value, con, xdr = FALSE), finally = close(con))
  size <- file.size(path)
  done <- TRUE
  send(id, KIND_RESULT, serialize(list(cpu, warned, utf8(path), size, NULL), NULL, xdr = FALSE, version = 2L))
}

local({
  self <- environment(task)
  for (name in c(
    "task", "cpu_since", "guarded_task", "perform", "evaluate_task", "bind_variables", "bind_arguments",
    "value_of", "known", "fetch", "shared", "tidy_task", "own_env", "told", "on_message", "on_task_warning",
    "on_progress", "send_result",
    # What a process does once: one that is there for one task would compile it for that.
    "note_base", "note_env", "learn", "keep", "put", "code_text", "parsed", "mutable", "mutable_attributes"
  )) {
    self[[name]] <- compiler::cmpfun(self[[name]])
  }
})
