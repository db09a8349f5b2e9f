# What the tests with R show and cut: values by name.
own <- new.env()
own$x <- 1
closure <- local({
  hidden <- c(1, 2, 3)
  function(i) hidden[i]
})
setClass("Point", representation(x = "numeric", y = "numeric"), where = globalenv())
wrapped <- function(x) .Internal(wrap_meta(x, 1L, TRUE))

values <- list(
  null = NULL,
  logical = c(TRUE, NA, FALSE),
  integer = c(a = 1L, b = NA, c = 3L),
  sequence = 1:1000,
  double = c(1.5, NA, NaN, Inf, -Inf, 1e300, 0.1 + 0.2, 123456789012, 1e-7),
  one = 42,
  complex = c(1 + 2i, -1.5 - 1i),
  character = c("a", NA, "", "\u00e9\u65e5\U1f600", "tab\t\"quote\" \\ \n", "\u2028"),
  latin1 = iconv("caf\u00e9", "UTF-8", "latin1"),
  deferred = as.character(1:5),
  raw = as.raw(c(0, 255, 16)),
  empty = list(logical(), integer(), double(), character(), list()),
  factor = factor(c("b", "a", NA, "b")),
  date = as.Date("2024-02-29") + 0:3,
  date_na = as.Date(NA),
  posixct = as.POSIXct("2024-03-31 01:30:00", tz = "UTC") + c(0, 86400, NA),
  posixct_local = as.POSIXct(1e9, origin = "1970-01-01", tz = "Europe/Berlin"),
  difftime = as.difftime(c(1, 2.5), units = "mins"),
  matrix = matrix(1:6, 2, dimnames = list(c("r1", "r2"), NULL)),
  array = array(as.double(1:24), 2:4),
  list = list(1, list(2, b = list("c", NULL))),
  named = list(a = 1, b = NULL, 3, c = "x"),
  frame = data.frame(x = 1:3, y = c("a", NA, "c"), z = c(0.5, NA, 2), f = factor(c("u", "v", "u"))),
  row_names = head(mtcars, 3),
  no_rows = iris[0, ],
  list_column = structure(list(a = list(1:3, "x", NULL), d = as.Date("2024-01-01") + 0:2), class = "data.frame", row.names = 1:3),
  nested = local({
    d <- data.frame(id = 1:2)
    d$inner <- data.frame(p = c("x", "y"), q = c(TRUE, FALSE))
    d$m <- matrix(1:4, 2)
    d
  }),
  tibble = tibble::tibble(a = 1:3, b = letters[1:3], c = list(1, "x", NULL)),
  data_table = data.table::data.table(a = 1:3, b = c("x", NA, "z")),
  pairlist = pairlist(a = 1, 2),
  wrapped = wrapped(c(1, 2, 3)),
  expression = expression(x + 1, f(y), "z"),
  opaque = list(f = closure, g = mean, e = own, call = quote(a + b), s4 = new("Point", x = 1, y = 2), formula = y ~ x),
  shared = list(closure, closure, list(own, own, "names"), own),
  model = lm(mpg ~ wt, mtcars[1:5, ])
)

forms <- function(value, path) {
  for (version in 2:3) for (xdr in c(TRUE, FALSE)) {
    writeBin(serialize(value, NULL, xdr = xdr, version = version), paste0(path, ".", version, if (xdr) "x" else "b"))
  }
  for (compress in c("gzip", "bzip2", "xz")) saveRDS(value, paste0(path, ".", compress), compress = compress)
}

# What lapply() hands over: elements as as.list() makes them.
elements <- function(x) {
  if (is.expression(x)) return(lapply(seq_along(x), function(i) x[[i]]))
  x <- as.list(if (is.list(x)) unclass(x) else x)
  attributes(x) <- NULL
  x
}

# Environments are not the same any more, but what is in them is.
same <- function(a, b) {
  if (is.function(a)) {
    return(identical(a, b, ignore.environment = TRUE, ignore.bytecode = TRUE, ignore.srcref = TRUE) &&
      (is.primitive(a) || isNamespace(environment(a)) || same(environment(a), environment(b))))
  }
  if (is.environment(a)) {
    return(is.environment(b) && (identical(a, b) || identical(sort(ls(a)), sort(ls(b))) &&
      (identical(a, globalenv()) || all(vapply(ls(a), function(n) is.environment(a[[n]]) || same(a[[n]], b[[n]]), NA)))))
  }
  if (inherits(a, "data.table")) {
    attr(a, ".internal.selfref") <- attr(b, ".internal.selfref") <- NULL
  }
  if (is.list(a) && is.list(b)) {
    plain <- function(x) attributes(x)[sort(setdiff(names(attributes(x)), c(".Environment", "terms")))]
    return(length(a) == length(b) && identical(plain(a), plain(b), attrib.as.set = TRUE) &&
      all(vapply(seq_along(a), function(i) same(.subset2(a, i), .subset2(b, i)), NA)))
  }
  identical(a, b) || isTRUE(all.equal(a, b)) && typeof(a) == typeof(b) && (is.call(a) || isS4(a))
}
