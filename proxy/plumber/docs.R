# What $run() does with the documentation of an API.

# mount_documentation mounts openapi.json and the user interface as $run() does,
# and returns the interface's path, "" where there is none.
mount_documentation <- function(pr, asked, site) {
  private <- private_of(pr)
  info <- if (is.null(asked$docs)) {
    private$docs_info
  } else {
    plumber("upgrade_docs_parameter")(asked$docs)
  }
  if (!isTRUE(info$enabled)) {
    return("")
  }
  if (nzchar(site$prefix) && is.null(getOption("plumber.apiPath"))) {
    options(plumber.apiPath = site$prefix)
  }
  plumber("mount_docs")(
    pr = pr, host = site$host, port = site$port, docs_info = info,
    callback = docs_callback(private, asked), quiet = TRUE
  )
  if (nzchar(site$prefix)) {
    below_prefix(pr, site$prefix)
  }
  if ("/__docs__/" %in% names(pr$mounts)) "/__docs__/" else ""
}

plumber <- function(name) get(name, asNamespace("plumber"))

docs_callback <- function(private, asked) {
  if (!is.null(asked$callback)) {
    return(asked$callback)
  }
  if (!rlang::is_missing(private$docs_callback)) {
    return(private$docs_callback)
  }
  plumber_option("plumber.docs.callback", plumber_option("plumber.swagger.url", NULL))
}

# plumber_option is an option as plumber reads it; since 1.3 from PLUMBER_* too.
plumber_option <- function(name, default) {
  read <- get0("get_option_or_env", asNamespace("plumber"), mode = "function")
  if (is.null(read)) getOption(name, default) else read(name, default)
}

# below_prefix has openapi.json name the prefix that the API is served below,
# where nothing else tells: without a Referer plumber says "".
below_prefix <- function(pr, prefix) {
  for (endpoint in rev(pr$endpoints[["__no-preempt__"]])) {
    if (identical(endpoint$path, "/openapi.json")) {
      private <- private_of(endpoint)
      spec <- private$func
      private$func <- function(req) {
        value <- spec(req)
        if (identical(value$servers[[1L]]$url, "")) {
          value$servers[[1L]]$url <- prefix
        }
        value
      }
      return(NULL)
    }
  }
}
