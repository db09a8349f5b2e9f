# Finding the router that a file or a directory means. People start plumber in
# three ways: annotations, which plumb() reads; a script whose value is a router;
# a script that starts a server. All three give a router here and start nothing.

# find_router is list(router, asked, dir, envir): asked are the arguments that the
# script gave to run(), dir is where the router is to run.
find_router <- function(path) {
  if (dir.exists(path)) {
    path <- main_file(path)
  } else if (!file.exists(path)) {
    stop("there is no file ", path, " in ", getwd(), call. = FALSE)
  }
  check_syntax(path)
  old <- setwd(dirname(path))
  on.exit(setwd(old))
  file <- basename(path)
  found <- without_run(if (is_annotated(file)) plumbed(file) else sourced(file))
  # $run() goes to the directory of a plumbed file.
  file <- private_of(found$router)$filename
  if (!is.null(file)) {
    setwd(dirname(file))
  }
  found$dir <- getwd()
  found
}

# main_file is the file of a directory, as plumb(dir = ) finds it.
main_file <- function(dir) {
  for (name in c("entrypoint", "plumber")) {
    file <- list.files(dir, paste0("^", name, "\\.r$"), ignore.case = TRUE, full.names = TRUE)
    if (length(file)) {
      return(file[1L])
    }
  }
  stop("there is no plumber.R and no entrypoint.R in ", normalizePath(dir), call. = FALSE)
}

# check_syntax finds what plumb() would only print.
check_syntax <- function(path) {
  tryCatch(parse(path, keep.source = FALSE, encoding = "UTF-8"), error = function(e) {
    stop(conditionMessage(e), call. = FALSE)
  })
}

# is_annotated says whether plumb() finds anything in a file.
is_annotated <- function(path) {
  tags <- "get|put|post|use|delete|head|options|patch|filter|assets|plumber"
  lines <- readLines(path, warn = FALSE, encoding = "UTF-8")
  any(grepl(paste0("^#['*]\\s*@(", tags, ")\\b"), lines, useBytes = TRUE))
}

plumbed <- function(file) {
  line <- NULL
  router <- tryCatch(
    withCallingHandlers(plumber::plumb(file), error = function(e) {
      line <<- block_line(sys.frames())
    }),
    error = function(e) {
      stop(paste(c(file, line), collapse = ":"), ": ", conditionMessage(e), call. = FALSE)
    }
  )
  list(router = router, asked = list(), envir = router$environment)
}

# block_line is the line of the code that plumb() was at: its function that
# evaluates a file block by block has it in its frame.
block_line <- function(frames) {
  for (frame in rev(frames)) {
    ref <- get0("srcref", frame, inherits = FALSE)
    if (is.numeric(ref) && exists("lineNum", frame, inherits = FALSE)) {
      return(ref[[1L]])
    }
  }
  NULL
}

# sourced evaluates a script. Its router is its value; else that of the one
# variable that holds a router.
sourced <- function(file) {
  exprs <- parse(file, keep.source = TRUE, encoding = "UTF-8")
  refs <- attr(exprs, "srcref")
  envir <- new.env(parent = globalenv())
  value <- NULL
  at <- 0L
  tryCatch(
    for (i in seq_along(exprs)) {
      at <- refs[[i]][1L]
      value <- eval(exprs[i], envir)
    },
    error = function(e) stop(file, ":", at, ": ", conditionMessage(e), call. = FALSE)
  )
  if (!plumber::is_plumber(value)) {
    routers <- Filter(plumber::is_plumber, values_of(envir))
    if (length(routers) != 1L) {
      stop(
        file, " has no annotation such as #* @get, and its value is not a plumber router; ",
        "let its last line be the router: pr() |> pr_get(...)",
        call. = FALSE
      )
    }
    value <- routers[[1L]]
  }
  list(router = value, asked = list(), envir = envir)
}

# values_of are the values of an environment, less active bindings, whose
# functions nobody has asked to be called.
values_of <- function(envir) {
  names <- ls(envir, all.names = TRUE)
  names <- names[!vapply(names, bindingIsActive, NA, envir)]
  mget(names, envir = envir)
}

# without_run evaluates code in which run() of a router ends the code and hands
# over the router, instead of starting a server.
without_run <- function(code) {
  run <- plumber::Plumber$public_methods$run
  on.exit(plumber::Plumber$set("public", "run", run, overwrite = TRUE))
  plumber::Plumber$set("public", "run", hand_over, overwrite = TRUE)
  withRestarts(code, rpipe_router = function(router, asked) {
    list(router = router, asked = asked, envir = router$environment)
  })
}

# hand_over stands in place of Plumber$run(), with its formals; self and private
# are the router's.
hand_over <- function(host = "127.0.0.1", port = NULL, swagger, debug,
                      swaggerCallback, ..., docs, quiet = FALSE) {
  if (isTRUE(private$disable_run)) {
    stop("Plumber router `$run()` method should not be called while `plumb()`ing a file")
  }
  asked <- list()
  # pr_run() hands on missing arguments of its own.
  given <- function(x) !rlang::is_missing(x)
  if (given(docs)) {
    asked$docs <- docs
  } else if (!missing(swagger)) {
    if (is.function(swagger)) self$setApiSpec(swagger)
    asked$docs <- is.function(swagger) || swagger
  }
  if (given(debug)) asked$debug <- debug
  if (given(swaggerCallback)) asked$callback <- swaggerCallback
  invokeRestart("rpipe_router", self, asked)
}

private_of <- function(x) x$.__enclos_env__$private
