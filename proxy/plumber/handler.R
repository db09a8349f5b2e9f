# The handler of an API: does what $run() does besides listening, and answers
# requests with the router's call(). Its value goes to rpool.

main <- function(path, docs, site) {
  if (site$development) {
    watch_errors()
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
    watch_handlers(pr)
  }
  unsafe <- unsafe_to_fork(globalenv(), found$envir, pr$environment)
  options(rpipe.unsafe_to_fork = unsafe)
  load_whole()
  structure(
    answering(pr, plan, site$development),
    about = as.character(about_api(pr, docs_path, unsafe)),
    exit = function() private_of(pr)$runHooks("exit")
  )
}

# answering is the function that answers requests.
answering <- function(pr, plan, development) {
  call <- pr$call
  version <- utils::packageVersion("httpuv")
  nothing_due <- later::loop_empty
  asleep <- !is.null(plan)
  wake <- function() {
    asleep <<- FALSE
    plan()
  }
  handler <- function(req) {
    if (asleep) wake()
    if (!nothing_due()) run_due()
    req$httpuv.version <- version
    response <- call(req)
    if (inherits(response, "promise")) {
      promises::then(response, shaped)
    } else {
      shaped(response)
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

# run_due runs what later() has been given and is due, which in httpuv happens
# between requests.
run_due <- function() {
  tryCatch(later::run_now(0), error = function(e) {
    message("Error in a callback of later: ", conditionMessage(e))
  })
}

# shaped is a response with its body as bytes, by httpuv's rules: of a character
# vector the first element as it is, numbers as bytes. What httpuv cannot send it
# answers with the text that Go has for the class rpipe_response.
shaped <- function(response) {
  body <- response[["body"]]
  if (!is.numeric(response[["status"]]) || length(response[["status"]]) != 1L) {
    malformed("the status is not a number")
  }
  if (!all(lengths(response[["headers"]]) == 1L)) {
    malformed("a header has more than one value, or none; call setHeader() once for each")
  }
  if (is.raw(body) || is.null(body)) {
    return(response)
  }
  if ("file" %in% names(body)) {
    return(response)
  }
  response[["body"]] <- if (is.character(body) && length(body)) {
    charToRaw(body[[1L]])
  } else if (is.numeric(body) || is.logical(body)) {
    as.raw(body)
  } else {
    malformed(paste("the body is of class", class(body)[1L]))
  }
  response
}

malformed <- function(why) {
  stop(structure(class = c("rpipe_response", "error", "condition"), list(
    message = paste("the answer of the API cannot be sent:", why), call = NULL
  )))
}

# load_whole has R load the packages that answer requests whole, once for all
# forks. It loads them function by function at their first use otherwise, which
# makes first requests slow, and an interrupt amid such a load leaves half a
# function behind.
load_whole <- function() {
  for (package in c("plumber", "jsonlite", "promises", "later", "R6", "stringi", "webutils", "mime", "httpuv", "magrittr", "rlang")) {
    if (isNamespaceLoaded(package)) {
      namespace <- asNamespace(package)
      for (name in names(namespace)) get0(name, namespace, inherits = FALSE)
    }
  }
}
