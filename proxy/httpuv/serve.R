# The R side of package httpuv: it has whatever listens through the R package
# httpuv listen on a Unix socket in this worker's own temporary directory, which
# Go alone can reach, and ends it in good order.
#
# All servers of httpuv are made by makeTcpServer() or makePipeServer() and all
# loops wait in run_now(). These three are replaced, in workers only, so that any
# code that starts a server can be served: Plumber$run(), shiny::runApp(),
# httpuv::runServer(), and what others have built on them. Base R, httpuv and later.

socket <- "" # the path that Go connects to
opened <- 0L # servers, ever
ready <- ""  # a FIFO: a byte says that the server is up
ending <- "" # a file: an interrupt is the end once it is there
worker <- ""  # the id that Go knows this server by
leaving <- FALSE
forgotten <- "" # the request that nobody waits for any more
replaced <- FALSE
make_pipe <- NULL # httpuv's own
pipes <- list()   # handles of servers that httpuv does not count as its own
router <- NULL    # of kind plumber, made in the template
asked <- NULL     # arguments that its file gave to run()
root <- NULL      # the directory that it runs in

# load does in the template what all workers can share.
load <- function(kind, path, code) {
  need <- switch(kind, plumber = "plumber", shiny = "shiny", "httpuv")
  loadNamespace(need)
  loadNamespace("httpuv")
  if (nzchar(path) && !file.exists(path)) {
    stop("there is no file ", path, " in ", getwd(), call. = FALSE)
  }
  if (kind == "plumber") {
    router <<- if (nzchar(code)) {
      eval(parse(text = code, keep.source = FALSE), new.env(parent = globalenv()))
    } else if (dir.exists(path)) {
      plumber::plumb(dir = path)
    } else {
      plumber::plumb(path)
    }
    if (!inherits(router, "Plumber")) {
      asked <<- router[["asked"]]
      root <<- router[["dir"]]
      router <<- router[["router"]]
    }
  }
}

# serve runs until an interrupt finds the file `ending`, or until the code itself
# ends. order is a named character vector.
serve <- function(order) {
  socket <<- order[["socket"]]
  ready <<- order[["ready"]]
  ending <<- order[["ending"]]
  worker <<- order[["worker"]]
  leaving <<- FALSE
  forgotten <<- ""
  replace_all()
  directory <- getwd()
  # Warnings are said at once: this call does not end, and it is at the end of a
  # call that R says them otherwise.
  old <- options(warn = max(1L, getOption("warn")))
  on.exit({
    close_all()
    setwd(directory)
    options(old)
  })
  tryCatch(
    withCallingHandlers(
      {
        run(order[["kind"]], order[["path"]], order[["code"]], order[["worker"]])
        if (!listening()) {
          stop("the code has ended without a server of httpuv left running", call. = FALSE)
        }
        repeat wait(Inf, FALSE)
      },
      # Those of the code itself, which the worker's own loop would keep.
      warning = function(w) {
        message("Warning: ", conditionMessage(w))
        if (!is.null(findRestart("muffleWarning", w))) invokeRestart("muffleWarning")
      }
    ),
    rpipe_leave = function(c) NULL
  )
}

run <- function(kind, path, code, worker) {
  switch(kind,
    plumber = run_plumber(router),
    shiny = run_shiny(path, worker),
    {
      value <- if (nzchar(code)) {
        eval(parse(text = code), new.env(parent = globalenv()))
      } else {
        source(path, local = new.env(parent = globalenv()))[["value"]]
      }
      run_value(value, path, worker)
    }
  )
}

run_value <- function(value, path, worker) {
  if (inherits(value, "shiny.appobj")) {
    run_shiny(value, worker)
  } else if (inherits(value, "Plumber")) {
    run_plumber(value)
  } else if (is.function(value) || is_app(value)) {
    httpuv::runServer("127.0.0.1", 8000L, value)
  } else if (!listening()) {
    stop(
      "its value is of class ", paste(class(value), collapse = "/"), ", and no server was started: ",
      "the last expression must be a function of a request, an app of httpuv ",
      "(a list with call, onHeaders, onWSOpen or staticPaths), a plumber router or a shiny app",
      call. = FALSE
    )
  }
}

is_app <- function(x) {
  (is.list(x) || is.environment(x)) &&
    any(c("call", "onHeaders", "onWSOpen", "staticPaths") %in% names(x))
}

# run_plumber is pr$run(): the class's own, since whoever made the router may have
# put another in its place. The host and the port are what the code is told;
# nothing listens there.
run_plumber <- function(pr) {
  run <- plumber::Plumber$public_methods$run
  environment(run) <- pr$.__enclos_env__
  if (!is.null(root)) {
    setwd(root)
  }
  args <- asked[intersect(names(asked), c("docs", "debug"))]
  do.call(run, c(list(host = "127.0.0.1", port = 8000L, quiet = TRUE), args))
}

# Shiny writes the worker's id into the URLs of a session's downloads and uploads.
# It takes one in the life of a process; a worker that was given back and serves
# again has another.
run_shiny <- function(app, worker) {
  known <- get0("workerId", asNamespace("shiny"), mode = "function")
  if (is.function(known) && exists(".workerId", environment(known), inherits = FALSE)) {
    assign(".workerId", NULL, environment(known))
  }
  shiny::runApp(app,
    host = "127.0.0.1", port = 8000L, launch.browser = FALSE, workerId = worker, quiet = TRUE
  )
}

listening <- function() length(pipes) > 0L || length(httpuv::listServers()) > 0L

close_all <- function() {
  httpuv::stopAllServers()
  for (handle in pipes) httpuv:::stopServer_(handle)
  pipes <<- list()
  unlink(socket)
}

replace_all <- function() {
  if (replaced) {
    return(NULL)
  }
  ns <- asNamespace("httpuv")
  make_pipe <<- ns$makePipeServer
  put("makeTcpServer", function(host, port, ...) listen(...), ns)
  put("makePipeServer", function(name, mask, ...) {
    file.create(name) # PipeServer looks at it
    handle <- listen(...)
    pipes <<- c(pipes, list(handle))
    handle
  }, ns)
  put("run_now", wait, parent.env(ns))
  replaced <<- TRUE
}

put <- function(name, value, env) {
  unlockBinding(name, env)
  assign(name, value, env)
  lockBinding(name, env)
}

# listen opens a socket. It gets its name, by which Go knows that the server is up,
# in the loop: code may open a server only to see whether a port is free, and the
# end of that one, which comes later and in another thread, removes its socket by
# name.
listen <- function(onHeaders, onBodyData, onRequest, onWSOpen, onWSMessage, onWSClose, ...) {
  opened <<- opened + 1L
  path <- paste0(socket, opened)
  unlink(path)
  handle <- make_pipe(
    path, 63L, # umask 0077
    trapped(function(req) control(req, onHeaders)), onBodyData,
    function(req, done) {
      answer <- function() try(httpuv:::invokeCppCallback(cancelled, done), silent = TRUE)
      if (nzchar(forgotten) && identical(req$.rpipe, forgotten)) {
        return(answer())
      }
      tryCatch(onRequest(req, done), interrupt = function(i) {
        struck()
        answer()
      })
    },
    trapped(onWSOpen), trapped(onWSMessage), trapped(onWSClose), ...
  )
  later::later(function() {
    path <- paste0(socket, opened)
    if (listening() && file.exists(path)) {
      file.rename(path, socket)
      con <- file(ready, "wb", raw = TRUE)
      on.exit(close(con))
      writeBin(as.raw(1L), con)
    }
  })
  handle
}

cancelled <- list(
  status = 503L, headers = list("Content-Type" = "text/plain"), body = "interrupted"
)

trapped <- function(fun) {
  force(fun)
  function(...) {
    tryCatch(fun(...), interrupt = function(i) {
      struck()
      NULL
    })
  }
}

struck <- function() {
  if (file.exists(ending)) leaving <<- TRUE
}

# wait is run_now() that survives the interrupts of single requests.
wait <- function(...) {
  more <- tryCatch(later::run_now(...), interrupt = function(i) {
    struck()
    FALSE
  })
  if (leaving) {
    signalCondition(structure(class = c("rpipe_leave", "condition"), list(message = "", call = NULL)))
  }
  invisible(more)
}

# control answers what Go itself asks, and tells the request who its client is:
# nobody but Go reaches this socket. What is asked of a worker that has left since
# may come as late as its next server.
control <- function(req, onHeaders) {
  ask <- req$HTTP_RPIPE_CONTROL
  if (!is.null(ask)) {
    ask <- strsplit(ask, " ", fixed = TRUE)[[1L]]
    if (ask[2L] == worker) {
      switch(ask[1L], leave = leaving <<- TRUE, forget = forgotten <<- ask[3L])
    }
    return(list(status = 204L, headers = structure(list(), names = character()), body = NULL))
  }
  if (!is.null(req$HTTP_RPIPE_CLIENT)) {
    client <- strsplit(req$HTTP_RPIPE_CLIENT, " ", fixed = TRUE)[[1L]]
    req$REMOTE_ADDR <- client[1L]
    req$REMOTE_PORT <- client[2L]
    req$rook.url_scheme <- client[3L]
    req$SERVER_NAME <- client[4L]
    req$SERVER_PORT <- client[5L]
    req$.rpipe <- client[6L]
    rm("HTTP_RPIPE_CLIENT", envir = req)
    req$HEADERS <- req$HEADERS[names(req$HEADERS) != "rpipe-client"]
  }
  onHeaders(req)
}
