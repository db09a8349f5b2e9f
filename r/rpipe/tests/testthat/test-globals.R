free <- function(x) sort(rpipe:::free_names(substitute(x)))

test_that("names are free where they are read before they are assigned", {
  expect_setequal(free({
    x <- x + 1
    y <- 2
    y + z
  }), c("{", "+", "x", "z"))
  expect_setequal(free(function(a, b = c) a$d + b@e), c("+", "c", "@"))
  expect_setequal(free(for (i in n) i), "n")
  expect_setequal(free(x[i] <- v), c("[<-", "x", "i", "v"))
  expect_setequal(free(quote(a)), character())
  expect_setequal(free(stats::rnorm(n)), "n")
  expect_setequal(free(~ .x + offset), c("~", "+", ".x", "offset"))
})

test_that("globals of globals come along, and packages", {
  e <- new.env(parent = globalenv())
  local(
    {
      k <- 3
      g <- function(x) x * k
      f <- function(x) g(x) + unknown_name
    },
    envir = e
  )
  found <- rpipe:::globals_of(e$f, NULL)
  expect_setequal(names(found$globals), c("g", "k"))
  expect_identical(environment(found$code), globalenv())
  expect_identical(environment(found$globals$g), globalenv())
  expect_true("testthat" %in% rpipe:::globals_of(function() expect_true(TRUE), NULL)$packages)
})

test_that("a frame that holds much is left behind, unless it is needed", {
  make <- function() {
    big <- rnorm(1e5)
    n <- 2
    list(plain = function(x) x + n, counts = function() n <<- n + 1)
  }
  fs <- make()
  expect_lt(length(serialize(rpipe:::globals_of(fs$plain, NULL)$code, NULL)), 5000)
  expect_gt(length(serialize(rpipe:::globals_of(fs$counts, NULL)$code, NULL)), 5e5)
})

test_that("two variables of one name keep apart", {
  local_rpipe()
  make <- function(n) function(x) x + n
  one <- make(1)
  ten <- make(10)
  expect_identical(rp_result(rp_submit(c(one(0), ten(0)))), c(1, 10))
})

test_that("large globals are warned of", {
  old <- options(rpipe.warn_size = 1e5)
  on.exit(options(old))
  big <- rnorm(1e5)
  local_rpipe()
  expect_warning(h <- rp_submit(length(big)), "big \\(800", class = "rpipe_large_globals")
  expect_identical(rp_result(h), 100000L)
  expect_identical(rp_globals(function() length(big))$bytes, as.numeric(object.size(big)))
})
