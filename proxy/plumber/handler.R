# The handler of an API: does what $run() does besides listening, and answers
# requests with the router's call(). Its value goes to rpool.

main <- function(path, docs, site) {
  if (site$development) {
    options(keep.source = TRUE) # files that this one sources have lines too
  }
  found <- find_router(path)
  pr <- found$router
  setwd(found$dir)
  plan <- put_plan_aside()
  debug <- found$asked$debug
  if (is.null(debug) && is.null(private_of(pr)$debug) && site$development) {
    debug <- TRUE
  }
  pr$setDebug(if (is.null(debug)) pr$getDebug() else debug)
  docs_path <- if (docs) mount_documentation(pr, found$asked, site) else ""
  if (site$development) {
    watch(pr)
  }
  unsafe <- unsafe_to_fork(globalenv(), found$envir, pr$environment)
  options(rpipe.unsafe_to_fork = unsafe)
  load_whole()
  warm_up()
  structure(
    answering(pr, plan, site$development),
    about = as.character(about_api(pr, docs_path, unsafe)),
    exit = function() private_of(pr)$runHooks("exit")
  )
}

# answering is the function that answers requests. A plan that was put aside is
# set with the first.
answering <- function(pr, plan, development) {
  call <- pr$call
  handler <- if (is.null(plan)) {
    function(req) call(req)
  } else {
    function(req) {
      if (!is.null(plan)) {
        plan()
        plan <<- NULL
      }
      call(req)
    }
  }
  if (!development) {
    return(compiler::cmpfun(handler))
  }
  function(req) {
    seen$condition <- NULL
    response <- handler(req)
    if (inherits(response, "promise")) {
      promises::then(response, with_condition)
    } else {
      with_condition(response)
    }
  }
}

# load_whole has R load the packages that answer requests whole, once for all
# forks. It loads them function by function at their first use otherwise, which
# makes first requests slow, and an interrupt amid such a load leaves half a
# function behind.
load_whole <- function() {
  packages <- c("plumber", "jsonlite", "promises", "later", "R6", "stringi", "webutils", "mime", "magrittr", "rlang")
  for (package in packages[vapply(packages, isNamespaceLoaded, NA)]) {
    namespace <- asNamespace(package)
    for (name in names(namespace)) get0(name, namespace, inherits = FALSE)
  }
}

# warm_up has R compile what runs in each request, once for all forks: it does so
# at the second call of a function, and a worker's first requests would take a
# fifth of a second otherwise. An API of its own is asked, so no code of the user's
# runs; compiled code is kept by the text of a function, not by its object.
warm_up <- function() {
  pr <- plumber::pr()
  pr$handle("GET", "/<id>", function(req, res, id, x = 1) list(id = id, x = x))
  pr$handle("POST", "/", function(req, res) list(body = req$body))
  ask <- function(method, path, query = "", body = raw()) {
    pr$call(list2env(parent = emptyenv(), list(
      REQUEST_METHOD = method, PATH_INFO = path, QUERY_STRING = query,
      HEADERS = c("content-type" = "application/json", cookie = "a=1"),
      CONTENT_TYPE = "application/json", HTTP_CONTENT_TYPE = "application/json", HTTP_COOKIE = "a=1",
      rook.input = list(
        read = function(l = -1L) body, read_lines = function(n = -1L) rawToChar(body),
        rewind = function() NULL
      )
    )))
  }
  for (i in 1:3) {
    ask("GET", "/1", "?x=2")
    ask("POST", "/", body = charToRaw('{"a": [1, 2]}'))
    ask("GET", "/no/such/path")
  }
}
