# What a function or an expression refers to that a worker does not have: variables and
# functions of this session, and packages that are attached here.

# globals_of finds them: list(fun or expr, globals, packages). What is found by name goes
# along, whichever frame it is in, so that not whole frames do; see trimmed().
#
# code is a function or a quoted expression, env where the latter looks names up.
# globals is TRUE to find them, FALSE for none, names to be taken, or a list of values.
globals_of <- function(code, env, globals = TRUE, packages = NULL) {
  found <- new.env(parent = emptyenv())
  found$values <- list()
  found$origin <- list()
  found$packages <- character()
  if (is.list(globals)) {
    if (length(globals) && (is.null(names(globals)) || !all(nzchar(names(globals))))) {
      fail("`globals` must be TRUE, FALSE, names, or a list in which each value has a name.")
    }
    found$values <- globals
  } else if (is.character(globals)) {
    start <- if (is.function(code)) environment(code) %||% globalenv() else env
    for (name in globals) {
      e <- where(name, start)
      if (is.null(e)) fail("The global `", name, "` does not exist.")
      add_global(found, name, e)
    }
  } else if (isTRUE(globals)) {
    if (is.function(code)) {
      add_of_function(found, code)
    } else {
      add_names(found, free_names(code), env)
    }
  } else if (!identical(globals, FALSE)) {
    fail("`globals` must be TRUE, FALSE, names, or a list of values.")
  }
  code <- if (is.function(code)) trimmed(found, code) else code
  list(
    code = code, globals = lapply(found$values, function(v) trimmed(found, v)),
    packages = unique(c(packages, found$packages))
  )
}

# Packages that every R has attached.
BASE_PACKAGES <- c("base", "methods", "datasets", "utils", "grDevices", "graphics", "stats")

# add_of_function finds what a function refers to, if it is not a package's.
add_of_function <- function(found, f) {
  env <- environment(f)
  if (is.primitive(f) || is_package(env)) {
    return(NULL)
  }
  names <- unique(c(free_names(f), tryCatch(codetools::findGlobals(f, merge = TRUE), error = function(e) NULL)))
  add_names(found, names, env)
}

is_package <- function(env) {
  isNamespace(env) || identical(env, baseenv()) || grepl("^package:", environmentName(env))
}

# where is the environment that a name is found in, or NULL.
where <- function(name, env) {
  while (!identical(env, emptyenv())) {
    if (exists(name, envir = env, inherits = FALSE)) {
      return(env)
    }
    env <- parent.env(env)
  }
  NULL
}

add_names <- function(found, names, env) {
  for (name in names) {
    e <- where(name, env)
    if (is.null(e)) next
    package <- sub("^package:", "", environmentName(e))
    if (identical(name, "rp_progress_update") && is_package(e)) {
      # Of base R alone: workers need not have this package for it.
      f <- rp_progress_update
      environment(f) <- globalenv()
      found$values[[name]] <- f
      found$origin[[name]] <- e
    } else if (is_package(e)) {
      if (grepl("^package:", environmentName(e)) && !package %in% c(BASE_PACKAGES, found$packages)) {
        found$packages <- c(found$packages, package)
      }
    } else {
      add_global(found, name, e)
    }
  }
}

# add_global takes a variable, and what it refers to in its turn.
add_global <- function(found, name, env) {
  if (!is.null(found$origin[[name]])) {
    return(NULL) # another variable of that name stays with its function: see trimmed()
  }
  found$origin[[name]] <- env
  value <- tryCatch(base::get(name, envir = env, inherits = FALSE), error = function(e) {
    fail("The global `", name, "` cannot be evaluated: ", conditionMessage(e), ".")
  })
  if (identical(value, quote(expr = ))) {
    return(NULL)
  }
  found$values[name] <- list(value)
  each_function(value, function(f) add_of_function(found, f))
}

# each_function calls do for the functions in a value: itself, or in lists.
each_function <- function(x, do, depth = 3L) {
  if (is.function(x)) {
    do(x)
  } else if (is.list(x) && !is.data.frame(x) && depth > 0L && length(x) <= 1000L) {
    for (e in unclass(x)) each_function(e, do, depth - 1L)
  }
}

# Functions that need the frame that they were made in.
KEEPS_FRAME <- c("<<-", "environment", "parent.frame", "eval", "evalq", "get", "get0", "mget", "assign", "exists", "sys.function", "parent.env")

# trimmed takes a function out of the frame that it was made in, where all that it refers
# to is known: its frame, which may hold anything, is not sent. The worker puts it where
# the globals are.
trimmed <- function(found, x, depth = 3L) {
  if (is.function(x)) {
    env <- environment(x)
    if (is.primitive(x) || is_package(env)) {
      return(x)
    }
    if (!is.null(attr(x, "srcref"))) x <- utils::removeSource(x)
    if (identical(env, globalenv())) {
      return(x)
    }
    names <- free_names(x)
    own <- Filter(function(name) {
      e <- where(name, env)
      !is.null(e) && !is_package(e) && !identical(e, found$origin[[name]])
    }, names)
    if (!length(own) && !any(names %in% KEEPS_FRAME)) environment(x) <- globalenv()
    return(x)
  }
  if (is.list(x) && !is.data.frame(x) && depth > 0L && length(x) <= 1000L) {
    has <- FALSE
    each_function(x, function(f) has <<- TRUE, depth)
    if (has) {
      old <- attributes(x)
      x <- lapply(unclass(x), function(e) trimmed(found, e, depth - 1L))
      attributes(x) <- old
    }
  }
  x
}

# free_names are the symbols that are read before they are assigned, in a function or an
# expression. Unlike codetools it sees that `x <- x + 1` reads x, and looks into formulas.
free_names <- function(code) {
  free <- new.env(parent = emptyenv())
  if (is.function(code)) {
    if (is.primitive(code)) {
      return(character())
    }
    bound <- scope(names(formals(code)))
    walk(formals(code), bound, free)
    walk(body(code), bound, free)
  } else {
    walk(code, scope(character()), free)
  }
  ls(free, all.names = TRUE, sorted = FALSE)
}

scope <- function(names, parent = emptyenv()) {
  e <- new.env(parent = parent)
  for (n in names) assign(n, TRUE, envir = e)
  e
}

walk <- function(e, bound, free) {
  if (is.symbol(e)) {
    name <- as.character(e)
    if (nzchar(name) && !exists(name, envir = bound)) assign(name, TRUE, envir = free)
    return(NULL)
  }
  if (is.pairlist(e) || is.expression(e)) {
    for (i in seq_along(e)) if (!missing_arg(e[[i]])) walk(e[[i]], bound, free)
    return(NULL)
  }
  if (!is.call(e)) {
    return(NULL)
  }
  head <- if (is.symbol(e[[1L]])) as.character(e[[1L]]) else ""
  switch(head,
    quote = ,
    `::` = ,
    `:::` = NULL,
    `<-` = ,
    `=` = {
      walk(e[[3L]], bound, free)
      if (is.symbol(e[[2L]]) || is.character(e[[2L]])) {
        assign(as.character(e[[2L]]), TRUE, envir = bound)
      } else {
        assignment(e[[2L]], bound, free)
      }
    },
    `$` = ,
    `@` = walk(e[[2L]], bound, free),
    `for` = {
      walk(e[[3L]], bound, free)
      assign(as.character(e[[2L]]), TRUE, envir = bound)
      walk(e[[4L]], bound, free)
    },
    `function` = {
      inner <- scope(names(e[[2L]]), bound)
      walk(e[[2L]], inner, free)
      walk(e[[3L]], inner, free)
    },
    {
      for (i in seq_along(e)) if (!missing_arg(e[[i]])) walk(e[[i]], bound, free)
    }
  )
  if (head == "<<-" || head == "@") assign(head, TRUE, envir = free)
  NULL
}

# assignment is the target of f(x, ...) <- value: it reads x, and calls `f<-`.
assignment <- function(e, bound, free) {
  if (is.call(e)) {
    if (is.symbol(e[[1L]])) walk(as.symbol(paste0(as.character(e[[1L]]), "<-")), bound, free)
    for (i in seq_along(e)[-1L]) if (!missing_arg(e[[i]])) walk(e[[i]], bound, free)
  }
}

missing_arg <- function(x) identical(x, quote(expr = ))

# tell_size says how much goes along, and warns where that is much.
tell_size <- function(values, what) {
  sizes <- vapply(values, function(v) as.numeric(utils::object.size(v)), 0)
  each_env <- vapply(values, function(v) is.function(v) && !is_package(environment(v)) && !identical(environment(v), globalenv()), NA)
  for (i in which(each_env)) sizes[i] <- length(serialize(values[[i]], NULL, xdr = FALSE))
  total <- sum(sizes)
  limit <- getOption("rpipe.warn_size", 100e6)
  if (total > limit) {
    top <- utils::head(sort(sizes, decreasing = TRUE), 3L)
    warning(structure(class = c("rpipe_large_globals", "warning", "condition"), list(message = paste0(
      what, " takes ", bytes_text(total), " of this session along: ",
      paste0(names(top), " (", vapply(top, bytes_text, ""), ")", collapse = ", "),
      ". Give what is needed as arguments, store it once with rp_value(), or say `globals =`; option rpipe.warn_size is the limit of this warning."
    ), call = NULL)))
  }
  invisible(total)
}

bytes_text <- function(n) format(structure(n, class = "object_size"), units = "auto", standard = "SI")

#' What would be sent along
#'
#' Functions and expressions take the variables and functions of the session that they
#' refer to with them to the worker, and have the packages attached there that they use
#' and that are attached here. `rp_globals()` says which, and how large they are. Only
#' what is named in the code can be found: not what `get("x")` reads.
#'
#' @param x A function, or an expression.
#' @param globals,packages As of [rp_submit()].
#' @return A data.frame with name, class and bytes; its attribute `packages` has the
#'   packages.
#' @examples
#' rate <- 0.19
#' rp_globals(function(net) net * (1 + rate))
#' @export
rp_globals <- function(x, globals = TRUE, packages = NULL) {
  env <- parent.frame()
  code <- substitute(x)
  value <- if (is.symbol(code) || identical(code[[1L]], quote(`function`))) tryCatch(eval(code, env), error = function(e) NULL)
  if (is.function(value)) code <- value
  found <- globals_of(code, env, globals, packages)
  v <- found$globals
  structure(
    data.frame(
      name = names(v) %||% character(), class = vapply(v, function(x) class(x)[1L], "", USE.NAMES = FALSE),
      bytes = vapply(v, function(x) as.numeric(utils::object.size(x)), 0, USE.NAMES = FALSE)
    ),
    packages = found$packages
  )
}
