# What an R process of rpipe does once: say hello, load an environment, and, as
# a template, fork workers. Base R alone.

main <- function(dir, nonce) {
  compile()
  load_base()
  suspendInterrupts({
    open_wire(dir)
    hello(nonce)
    serve()
  })
  leave(0L)
}

# compile compiles what every request runs, and what a failed one does, once and
# before any fork: otherwise each worker does it in its first requests.
compile <- function() {
  self <- environment(compile)
  for (name in c(
    "serve", "send", "send_value", "send_condition", "run", "guarded", "take", "tidy", "map",
    "call_function", "decoded", "lightened", "evaluate", "function_name", "argument_refs", "swallow_interrupt",
    "http", "settled", "run_due", "request_body",
    "rook_response", "header_values", "on_warning", "on_error", "user_calls", "handler_frame",
    "located", "one_line", "shorten", "utf8"
  )) {
    self[[name]] <- compiler::cmpfun(self[[name]])
  }
}

# load_base has R load all of its package base, which it does function by function
# at their first use otherwise. An interrupt during such a load leaves half a
# function behind: later requests, whoever sent them, fail with "could not find
# function" or "promise already under evaluation". It takes 0.1 s and 16 MB, once
# for all forks.
load_base <- function() {
  base <- baseenv()
  for (name in names(base)) {
    get0(name, base, inherits = FALSE)
  }
}

# open_wire opens the two FIFOs of this process. Go holds both open for reading
# and writing until hello, so neither call waits.
open_wire <- function(dir) {
  out <<- file(file.path(dir, "out"), "wb", raw = TRUE)
  inp <<- file(file.path(dir, "in"), "rb", raw = TRUE)
}

hello <- function(nonce) {
  body <- list(Sys.getpid(), nonce, tempdir())
  send(0L, KIND_HELLO, serialize(body, NULL, xdr = FALSE, version = 2L))
}

# leave ends this process. A fork must not run the finalizers and .Last that it
# has inherited from the template.
leave <- function(status) {
  if (forked) {
    parallel:::mcexit(status)
  }
  quit("no", status, FALSE)
}

# load_environment runs each step of an environment. The answer is a value, or a
# condition whose trace names the step and what it was about.
load_environment <- function(id, order) {
  env <- structure(order, names = c(
    "max_frame", "option_names", "option_values", "packages", "sources", "setup", "handler", "send_files", "ask"
  ))
  max_frame <<- env[["max_frame"]]
  warned <<- NULL
  step <- c("", "")
  at <- function(name, what = "") step <<- c(name, what)
  failed <- tryCatch(
    withCallingHandlers(
      {
        for (i in seq_along(env[["option_names"]])) {
          name <- env[["option_names"]][i]
          at("option", name)
          value <- eval(parse(text = env[["option_values"]][i]), globalenv())
          options(structure(list(value), names = name))
        }
        for (name in env[["packages"]]) {
          at("package", name)
          library(name, character.only = TRUE)
        }
        for (path in env[["sources"]]) {
          at("source", path)
          source_file(path, function(line) at("source", paste0(path, ":", line)))
        }
        if (nzchar(env[["setup"]])) {
          at("setup")
          eval(parse(text = env[["setup"]]), globalenv())
        }
        if (nzchar(env[["handler"]])) {
          at("handler")
          use_handler(env[["handler"]])
          send_files <<- nzchar(env[["send_files"]])
        }
        NULL
      },
      warning = on_warning,
      packageStartupMessage = function(m) invokeRestart("muffleMessage")
    ),
    error = identity
  )
  tidy()
  if (!is.null(failed) && length(warned)) {
    # The warning before an error often has the cause: which file, which symbol.
    failed$message <- paste0(conditionMessage(failed), " (", warned[length(warned)], ")")
  }
  if (is.null(failed)) {
    send(id, KIND_VALUE, serialize(about(env[["ask"]]), NULL, xdr = FALSE, version = 2L))
  } else {
    trace <<- step
    send_condition(id, c(0, 0), failed)
  }
}

# about is what Go wants to know of this R: version, platform, library paths,
# packages that make a fork unsafe, and the versions of the packages asked for
# ("" where one is missing).
about <- function(ask) {
  versions <- vapply(ask, function(name) {
    tryCatch(as.character(utils::packageVersion(name)), error = function(e) "")
  }, "", USE.NAMES = FALSE)
  list(
    c(0, 0), utf8(warned), paste(R.version$major, R.version$minor, sep = "."),
    R.version$platform, .libPaths(), intersect("rJava", loadedNamespaces()),
    as.character(versions), paste0("", attr(handler, "about")), is.function(attr(handler, "exit")) + 0L
  )
}

# source_file evaluates a file expression by expression, in the global
# environment, and says the line of each before it does. Unlike source() it lets
# the error of a file through as it is.
source_file <- function(path, at) {
  if (!file.exists(path)) {
    stop("no such file (looked in ", getwd(), ")", call. = FALSE)
  }
  exprs <- tryCatch(
    parse(path, keep.source = TRUE, encoding = "UTF-8"),
    error = function(e) {
      # The parser says "path:line:column: what is wrong" and quotes the lines.
      rest <- substring(conditionMessage(e), nchar(path) + 2L)
      if (grepl("^[0-9]+:[0-9]+: ", rest)) {
        at(sub("^([0-9]+):.*", "\\1", sub("\n.*", "", rest)))
        rest <- sub("^[0-9]+:[0-9]+: ", "", rest)
      }
      stop(rest, call. = FALSE)
    }
  )
  refs <- attr(exprs, "srcref")
  for (i in seq_along(exprs)) {
    at(refs[[i]][1L])
    eval(exprs[i], globalenv())
  }
}

# fork_process forks twice, so that the fork is nobody's child in R and is adopted
# by Go. The process in between tells Go the fork's pid: one that dies before it
# opens its FIFOs is then known too. The fork is a worker, or a standby, which
# forks in its turn: it returns from here to the loop that this process is in, so
# that its stack is no deeper than its template's.
fork_process <- function(id, order) {
  names(order) <- c("dir", "nonce", "index", "before", "after")
  jit <- compiler::enableJIT(-1L)
  failed <- tryCatch(
    {
      run_hook(order[["before"]])
      process <- parallel:::mcfork(TRUE)
      NULL
    },
    error = identity
  )
  if (!is.null(failed)) {
    trace <<- warned <<- NULL
    return(send_condition(id, c(0, 0), failed))
  }
  if (!inherits(process, "masterProcess")) {
    return(send(id, KIND_PONG, raw()))
  }
  forked <<- TRUE
  between <- Sys.getpid()
  worker <- tryCatch(parallel:::mcfork(TRUE), error = identity)
  if (inherits(worker, "masterProcess")) {
    return(become(order, jit, between))
  }
  # Go clears the FIFOs of a fork away when it gives it up, as it does when the
  # pool closes: nobody is there to tell then, and an error that left this
  # function would take the template's temporary directory with it.
  opened <- tryCatch(
    {
      out <<- file(file.path(order[["dir"]], "out"), "wb", raw = TRUE)
      TRUE
    },
    warning = function(w) FALSE, error = function(e) FALSE
  )
  if (!opened) {
    parallel:::mcexit(0L)
  }
  if (inherits(worker, "error")) {
    send_condition(0L, c(0, 0), worker)
  } else {
    send(0L, KIND_PID, serialize(list(worker$pid), NULL, xdr = FALSE, version = 2L))
  }
  parallel:::mcexit(0L)
}

# become turns a fresh fork into a process of its own, which listens to its own
# FIFOs from then on.
become <- function(order, jit, between) {
  await_adoption(between)
  dir <- order[["dir"]]
  control <- list(inp, out)
  failed <- tryCatch(
    {
      suppressWarnings(open_wire(dir))
      lapply(control, close)
      open_log(file.path(dir, "log"))
      own_tempdir(file.path(dir, "tmp"))
      compiler::enableJIT(jit)
      if (order[["index"]] > 0L) {
        own_stream(order[["index"]])
      }
      warned <<- NULL
      run_hook(order[["after"]])
      hello(order[["nonce"]])
      NULL
    },
    error = identity
  )
  if (is.null(failed)) {
    return(NULL)
  }
  trace <<- NULL
  if (dir.exists(dir)) {
    try(send_condition(0L, c(0, 0), failed), silent = TRUE)
  }
  leave(1L)
}

# run_exit runs the handler's attribute "exit" before a worker ends in good order.
run_exit <- function() {
  tryCatch(
    allowInterrupts(attr(handler, "exit")()),
    error = function(e) cat("Error at the exit of the handler: ", conditionMessage(e), "\n", sep = "", file = stderr()),
    interrupt = function(i) NULL
  )
  tidy()
}

# try_code runs a canary: code, or the function that it names.
try_code <- function(id, code) {
  warned <<- trace <<- NULL
  failed <- tryCatch(
    {
      value <- eval(parse(text = code), globalenv())
      if (is.function(value)) value()
      NULL
    },
    error = identity
  )
  if (is.null(failed)) send(id, KIND_PONG, raw()) else send_condition(id, c(0, 0), failed)
}

# await_adoption waits until the process between has gone. As long as it is there
# it would reap this one, and Go would never learn how it died.
await_adoption <- function(between) {
  if (file.exists("/proc/self/stat")) {
    while (parent_pid() == between) Sys.sleep(0.0005)
  }
}

# parent_pid reads the fourth field; the second, a name in brackets, may hold
# anything.
parent_pid <- function() {
  stat <- sub(".*\\) ", "", readLines("/proc/self/stat", 1L, warn = FALSE))
  as.integer(strsplit(stat, " ", fixed = TRUE)[[1L]][2L])
}

run_hook <- function(code) {
  if (nzchar(code)) {
    eval(parse(text = code), globalenv())
  }
}

# open_log makes the FIFO at path this process's stdout and stderr, for R and for
# whatever C code or a child process writes. Base R has no dup2(), but a file
# that is opened takes the lowest descriptor that is free. In a fork of a fork the
# two are connections of R already, which would close them again when R collects
# its garbage.
open_log <- function(path) {
  if (is.null(log_out)) parallel:::closeStdout(FALSE) else close(log_out)
  log_out <<- file(path, "wb", raw = TRUE)
  if (is.null(log_err)) parallel:::closeStderr(FALSE) else close(log_err)
  log_err <<- file(path, "wb", raw = TRUE)
}
log_out <- NULL
log_err <- NULL

# own_tempdir gives a fork a session directory of its own below dir.
# tempdir(check = TRUE) makes one only where the old one is gone, so that is out
# of the way meanwhile; forks are serial and the template waits, so nobody looks.
own_tempdir <- function(dir) {
  Sys.setenv(TMPDIR = dir)
  old <- tempdir()
  away <- paste0(old, ".away")
  if (!file.rename(old, away)) {
    stop("cannot move the template's temporary directory ", old)
  }
  on.exit(file.rename(away, old))
  new <- tempdir(check = TRUE)
  if (!startsWith(new, dir)) { # dir has gone, and R has looked elsewhere
    unlink(new, recursive = TRUE)
    stop("cannot make a temporary directory in ", dir)
  }
}

# own_stream gives a fork random numbers of its own: of L'Ecuyer's generator the
# stream after as many as there were forks before it, of others a fresh seed.
own_stream <- function(index) {
  seed <- get0(".Random.seed", globalenv(), inherits = FALSE)
  if (is.null(seed)) {
    return(NULL)
  }
  if (seed[1L] %% 100L == 7L) {
    for (i in seq_len(index)) {
      seed <- parallel::nextRNGStream(seed)
    }
    assign(".Random.seed", seed, globalenv())
  } else {
    rm(".Random.seed", envir = globalenv())
    set.seed(NULL)
  }
}
