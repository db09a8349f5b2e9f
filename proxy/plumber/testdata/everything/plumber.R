#* @apiTitle Everything
#* @apiDescription An endpoint for each thing that plumber does.
#* @apiVersion 1.2.3
#* @apiTag numbers What has to do with numbers

library(plumber)

greeting <- "hello"

#* @filter trace
function(req, res) {
  req$seen <- "trace"
  res$setHeader("X-Trace", "seen")
  forward()
}

#* CORS
#* @filter cors
function(req, res) {
  res$setHeader("Access-Control-Allow-Origin", "*")
  if (req$REQUEST_METHOD == "OPTIONS" && grepl("^/cors", req$PATH_INFO)) {
    res$setHeader("Access-Control-Allow-Methods", "GET, POST")
    res$setHeader("Access-Control-Allow-Headers", req$HTTP_ACCESS_CONTROL_REQUEST_HEADERS)
    res$status <- 200
    return(list())
  }
  forward()
}

#* @filter door
#* @serializer unboxedJSON
function(req, res) {
  if (identical(req$HTTP_X_DOOR, "closed")) {
    res$status <- 401
    return(list(error = "the door is closed"))
  }
  if (identical(req$HTTP_X_DOOR, "broken")) stop("the door is broken")
  forward()
}

#* Say hello
#* @param name Who is greeted
#* @get /hello
#* @get /hello/again
function(name = "you") list(message = paste(greeting, name))

#* @preempt door
#* @get /beside
function(req) list(seen = req$seen)

#* @get /typed/<n:int>/<x:double>/<flag:bool>/<word>
function(n, x, flag, word) {
  list(n = n, x = x, flag = flag, word = word, classes = c(class(n), class(x), class(flag), class(word)))
}

#* @get /list/<ids:[int]>
#* @serializer unboxedJSON
function(ids) list(sum = sum(ids), ids = ids)

#* @get /word/<word>
function(word, req) list(word = word, path = req$PATH_INFO)

#* @get /regex/<name:[a-z]+>
function(name) name

#* @get /query
function(req, ...) list(query = req$QUERY_STRING, args = req$argsQuery, dots = names(list(...)))

#* @get /required
function(a, b) paste(a, b)

#* @param n:[int] numbers
#* @get /vector
#* @tag numbers
function(n) list(n = n, class = class(n))

#* @post /method
#* @put /method
#* @delete /method
#* @patch /method
#* @head /method
#* @options /method
function(req) req$REQUEST_METHOD

#* @use /used
function(req) req$REQUEST_METHOD

#* @get /env
function(req) {
  names <- ls(req, all.names = TRUE)
  list(
    names = sort(setdiff(names, c("HTTP_CONNECTION", "postBody"))),
    classes = class(req),
    method = req$REQUEST_METHOD, path = req$PATH_INFO, query = req$QUERY_STRING, script = req$SCRIPT_NAME,
    scheme = req$rook.url_scheme, rook = req$rook.version, httpuv = as.character(req$httpuv.version),
    addr = req$REMOTE_ADDR, port = is.character(req$REMOTE_PORT) && grepl("^[0-9]+$", req$REMOTE_PORT),
    server = is.character(req$SERVER_NAME) && is.character(req$SERVER_PORT),
    headers = as.list(req$HEADERS[setdiff(names(req$HEADERS), c("connection", "host"))]),
    header_class = class(req$HEADERS),
    one = req$HTTP_X_ONE, type = req$CONTENT_TYPE, length = req$CONTENT_LENGTH,
    input = all(c("read", "read_lines", "rewind") %in% ls(req$rook.input)),
    raw = length(req$bodyRaw), post = req$postBody, wd = basename(getwd()),
    parent = identical(parent.env(req), emptyenv())
  )
}

#* @post /input
#* @parser none
function(req) {
  input <- req$rook.input
  input$rewind()
  a <- rawToChar(input$read(3))
  b <- rawToChar(input$read())
  end <- length(input$read())
  input$rewind()
  list(a = a, b = b, end = end, lines = input$read_lines(), two = {
    input$rewind()
    input$read_lines(1)
  })
}

#* @get /status/<code:int>
function(res, code) {
  res$status <- code
  list(code = code)
}

#* @get /redirect
function(res) {
  res$status <- 302L
  res$setHeader("Location", "/hello?name=%C3%A9")
  ""
}

#* @get /headers
function(res) {
  res$setHeader("X-Number", 100000)
  res$setHeader("x-lower", "kept")
  res$setHeader("X-Flag", TRUE)
  res$setHeader("X-Date", as.Date("2024-02-29"))
  res$setHeader("X-Same", "one")
  res$setHeader("X-Same", "two")
  res$setHeader("X-Word", "h\u00e9llo")
  res$setHeader("X-Empty", "")
  res$setHeader("Link", "<a>; rel=next, <b>; rel=prev")
  "headers"
}

#* @get /cookies
function(req, res) {
  res$setCookie("a", "1 2;3", path = "/")
  res$setCookie("b", "x", http = TRUE, secure = TRUE, same_site = "Strict", expiration = as.POSIXct(2e9, origin = "1970-01-01"))
  res$removeCookie("c", path = "/")
  list(got = req$cookies)
}

#* @get /response
function(res) {
  res$body <- "made by hand"
  res$setHeader("Content-Type", "text/x-hand")
  res
}

#* @get /nothing
function() NULL

#* @get /invisible
function() invisible(list(a = 1))

#* @get /na
function() list(a = NA, b = NULL, c = c(1, NA), d = character(), e = data.frame(x = 1:2, y = c("a", NA)), f = Sys.Date() - Sys.Date())

#* @get /noisy
function() {
  print("to stdout")
  cat("more\n")
  message("to stderr")
  warning("careful")
  "quiet"
}

#* @get /stop
function() stop("boom")

#* @get /stop/400
function(res) {
  res$status <- 400
  stop("bad")
}

#* @get /stop/deep
function() {
  f <- function(x) g(x)
  g <- function(x) x + "a"
  f(1)
}

#* @get /stop/condition
function() stop(structure(class = c("own", "error", "condition"), list(message = "own", call = NULL)))

#* @get /body/two
function(res) {
  res$body <- c("a", "b")
  res
}

#* @get /body/number
function(res) {
  res$body <- c(65, 66)
  res
}

#* @get /body/list
function(res) {
  res$body <- list(1, 2)
  res
}

#* @get /body/latin1
function(res) {
  x <- "h\xe9"
  Encoding(x) <- "latin1"
  res$body <- x
  res
}

#* @get /header/vector
function(res) {
  res$headers <- list(X = c("a", "b"))
  res$body <- "x"
  res
}

#* @get /status-text
function(res) {
  res$status <- "201"
  res$body <- "x"
  res
}

#* @get /hook/breaks
function() "x"

#* @get /cors
function() "open"

#* @get /ünïcode
function() "path"

#* @plumber
function(pr) {
  pr |>
    pr_hook("preroute", function(data, req, res) {
      data$started <- TRUE
      res$setHeader("X-Hook", "preroute")
    }) |>
    pr_hook("postroute", function(data, req, res, value) {
      res$setHeader("X-Hook", "postroute")
      value
    }) |>
    pr_hook("preserialize", function(data, req, res, value) {
      if (identical(req$PATH_INFO, "/hook/breaks")) stop("hook")
      if (identical(value, "quiet")) "changed by a hook" else value
    }) |>
    pr_hook("postserialize", function(data, req, value) {
      value$headers[["X-Hook"]] <- paste("postserialize", isTRUE(data$started))
      value
    }) |>
    pr_mount("/formats", plumb("formats.R")) |>
    pr_mount("/bodies", plumb("bodies.R")) |>
    pr_mount("/own", pr() |>
      pr_get("/stop", function() stop("own")) |>
      pr_get("/deep/<id>", function(id, req) list(id, req$PATH_INFO)) |>
      pr_set_error(function(req, res, err) {
        res$status <- 503
        list(handled = conditionMessage(err))
      })) |>
    pr_mount("/broken", pr() |>
      pr_get("/stop", function() stop("own")) |>
      pr_set_error(function(req, res, err) stop("the error handler fails too")))
}
