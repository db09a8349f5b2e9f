# What Go has to know of an API, as JSON: which routes there are, and which files
# it may serve itself.

about_api <- function(pr, docs, unsafe) {
  private <- private_of(pr)
  hooks <- names(private$hooks)[lengths(private$hooks) > 0L]
  jsonlite::toJSON(
    list(
      docs = docs,
      max_size = as.numeric(plumber_option("plumber.maxRequestSize", 0)),
      hooked = any(hooks %in% c("preroute", "postroute", "preserialize", "postserialize")),
      own_404 = !identical(private$notFoundHandler, plumber("default404Handler")),
      unsafe = unsafe,
      types = as.list(content_types()),
      router = about_router(pr, 0L)
    ),
    auto_unbox = TRUE
  )
}

# about_router is a router with what is mounted below it, in the order in which
# plumber looks. A router that is mounted below itself is cut off.
about_router <- function(pr, depth) {
  private <- private_of(pr)
  filters <- private$filts
  known <- plumber("defaultPlumberFilters")
  open <- is.null(getOption("plumber.sharedSecret")) && all(vapply(filters, function(f) {
    identical(private_of(f)$func, known[[f$name]])
  }, NA))
  groups <- c("__first__", vapply(filters, function(f) f$name, ""), "__no-preempt__")
  endpoints <- unlist(private$ends[groups], recursive = FALSE, use.names = FALSE)
  mounts <- if (depth < 20L) pr$mounts else list()
  list(
    open = open,
    endpoints = lapply(endpoints, function(e) {
      list(verbs = as.list(e$verbs), path = e$path, regex = private_of(e)$regex$regex)
    }),
    mounts = lapply(seq_along(mounts), function(i) {
      path <- names(mounts)[i]
      if (is_static(mounts[[i]])) {
        list(path = path, dir = static_dir(mounts[[i]]))
      } else {
        list(path = path, router = about_router(mounts[[i]], depth + 1L))
      }
    })
  )
}

# is_static says whether a router serves files and nothing else.
is_static <- function(pr) {
  inherits(pr, "PlumberStatic") && length(private_of(pr)$filts) == 1L &&
    !length(unlist(private_of(pr)$ends)) && !length(pr$mounts)
}

static_dir <- function(pr) {
  enclosing <- environment(private_of(private_of(pr)$filts[[1L]])$func)
  dir <- get0("direc", enclosing, inherits = FALSE)
  dir <- if (is.null(dir)) private_of(pr)$dir else dir
  normalizePath(dir, winslash = "/", mustWork = FALSE)
}

# content_types are those that plumber gives to files, by extension.
content_types <- function() {
  own <- plumber("knownContentTypes")
  other <- mime::mimemap
  c(own, other[!names(other) %in% names(own)])
}
