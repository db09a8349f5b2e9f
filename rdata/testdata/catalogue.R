# Objects of every sort that R users have. Each is list(value, same): same(a, b)
# says whether b, which went through Go, is as good as a; identical() by default.

entry <- function(value, same = identical) list(value = value, same = same)
same_code <- function(a, b) identical(a, b, ignore.environment = TRUE, ignore.bytecode = TRUE)
same_table <- function(a, b) {
  attr(a, ".internal.selfref") <- NULL
  attr(b, ".internal.selfref") <- NULL
  identical(a, b)
}
marked <- function(s, encoding) {
  Encoding(s) <- encoding
  s
}
wrapped <- function(x) .Internal(wrap_meta(x, 1L, TRUE)) # known to be sorted, without NA
own <- new.env()
own$x <- 1
own$self <- own
local_closure <- local({
  hidden <- c(1, 2, 3)
  function(i) hidden[i]
})
setClass("Point", representation(x = "numeric", y = "numeric"), where = globalenv())
setClass("Named", contains = "numeric", representation(label = "character"), where = globalenv())
loop <- compiler::cmpfun(function(n) {
  total <- 0
  for (i in seq_len(n)) total <- total + if (i %% 2 == 0) i else -i
  switch(class(total), numeric = total, stop("not a number"))
})
deep <- Reduce(function(a, i) list(i, a), 1:500, NULL)

catalogue <- list(
  null = entry(NULL),
  logical = entry(c(TRUE, FALSE, NA)),
  integer = entry(c(1L, NA, -.Machine$integer.max)),
  double = entry(c(1.5, NA, NaN, Inf, -Inf, -0, 5e-324)),
  complex = entry(c(1i, NA, 2 - 3i)),
  character = entry(c("a", NA, "", "\u00e9\u65e5\U1f600")),
  latin1 = entry(marked("caf\xe9 \x80", "latin1")),
  raw = entry(as.raw(0:255)),
  empty = entry(list(logical(), integer(), double(), complex(), character(), raw(), list(), expression())),
  names = entry(c(a = 1, b = 2)),
  matrix = entry(matrix(1:6, 2, dimnames = list(c("r1", "r2"), NULL))),
  array = entry(array(as.double(1:24), 2:4)),
  factor = entry(factor(c("b", "a", NA, "b"))),
  ordered = entry(factor("lo", levels = c("lo", "hi"), ordered = TRUE)),
  date = entry(as.Date("2024-02-29") + 0:3),
  date_integer = entry(structure(19000L, class = "Date")),
  posixct = entry(as.POSIXct("2024-03-31 02:30:00", tz = "Europe/Berlin") + c(0, 1e-6, NA)),
  posixct_none = entry(.POSIXct(1e9)),
  posixlt = entry(as.POSIXlt(as.POSIXct(1e9, origin = "1970-01-01", tz = "UTC"))),
  difftime = entry(as.difftime(c(1, 2.5), units = "mins")),
  integer64 = entry(bit64::as.integer64(c("9007199254740993", NA, "-1"))),
  data_frame = entry(iris),
  row_names = entry(mtcars),
  no_rows = entry(iris[0, ]),
  list_column = entry(structure(list(a = list(1:3, "x", NULL)), class = "data.frame", row.names = 1:3)),
  tibble = entry(tibble::tibble(a = 1:3, b = letters[1:3], c = list(1, "x", NULL))),
  data_table = entry(data.table::data.table(a = 1:3, b = c("x", NA, "z")), same_table),
  list = entry(list(1, list(2, b = list("c", NULL)))),
  deep = entry(deep),
  pairlist = entry(pairlist(a = 1, 2, b = NULL)),
  formals = entry(formals(function(a, b = 2, ...) NULL)),
  options = entry(structure(pairlist(a = 1), note = "attributes of a pairlist")),
  symbol = entry(as.name("a name")),
  missing_arg = entry(list(quote(expr = ))),
  expression = entry(expression(a + b, f(x), 1)),
  call = entry(quote(f(x, y = g(z)[[1]], -1))),
  code_block = entry(quote({
    a <- 1
    a + 2
  })),
  formula = entry(y ~ x + log(z), same_code),
  closure = entry(function(x, ...) x + 1, function(a, b) same_code(a, b) && b(1) == 2),
  closure_env = entry(local_closure, function(a, b) b(2) == 2 && identical(environment(b)$hidden, c(1, 2, 3))),
  bytecode = entry(loop, function(a, b) b(10) == loop(10) && identical(body(a), body(b))),
  builtin = entry(list(sum, `if`, `[[`)),
  environment = entry(own, function(a, b) b$x == 1 && identical(b$self, b) && setequal(ls(b), c("x", "self"))),
  environments = entry(list(globalenv(), baseenv(), emptyenv(), asNamespace("stats"), topenv(environment(sd)), .BaseNamespaceEnv, as.environment("package:stats"))),
  shared = entry(list(a = own, f = function() own, e = own), function(a, b) b$a$x == 1 && b$e$x == 1 && identical(b$e$self, b$e)),
  s4 = entry(new("Point", x = 1, y = 2)),
  s4_vector = entry(new("Named", c(1, 2), label = "l")),
  s4_generator = entry(getClass("Point"), function(a, b) identical(b@className, a@className)),
  model = entry(lm(mpg ~ wt, mtcars), function(a, b) isTRUE(all.equal(predict(a), predict(b))) && identical(class(a), class(b))),
  condition = entry(tryCatch(stop("oops"), error = identity), same_code),
  comment = entry(`comment<-`(1:3, "said of it")),
  sequence = entry(1:10),
  sequence_down = entry(10:-3),
  sequence_real = entry(2^31:(2^31 + 3)),
  sequence_named = entry(structure(1:3, class = "thing")),
  deferred = entry(as.character(c(1:5, NA))),
  deferred_sequence = entry(as.character(3:1)),
  deferred_real = entry(as.character(c(1, 0.1, 1 / 3, 1e5, 123456, 1e-4, 1e-5, 1e15, 2^40, -1.5e300, 1e-300, 100, NA, NaN, Inf, -Inf))),
  sorted = entry(sort(c(3L, 1L, 2L))),
  sorted_real = entry(sort(c(3, 1, 2))),
  sorted_text = entry(sort(c("b", "a"))),
  wrapped_logical = entry(wrapped(c(FALSE, TRUE))),
  wrapped_complex = entry(wrapped(c(1i, 2i))),
  wrapped_raw = entry(wrapped(as.raw(1:2))),
  wrapped_factor = entry(wrapped(factor(c("a", "b"))))
)
