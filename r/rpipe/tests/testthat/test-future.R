# What the documentation of future promises of every backend; future.tests has the like.

use_future <- function(frame = parent.frame()) {
  skip_if_not_installed("future")
  local_rpipe()
  old <- future::plan(rpipe)
  do.call(on.exit, list(bquote(future::plan(.(old))), add = TRUE), envir = frame)
}

test_that("futures have values, globals, packages and labels", {
  use_future()
  a <- 2
  f <- function(x) x * a
  fut <- future::future(f(21), label = "answer")
  a <- 100
  expect_identical(future::value(fut), 42)
  expect_true(future::resolved(fut))
  expect_identical(future::value(fut), 42)
  x <- NULL
  `%<-%` <- future::`%<-%`
  x %<-% {
    a + 1
  }
  expect_identical(x, 101)
  expect_null(future::value(future::future(NULL)))
  expect_identical(future::value(future::future(median(1:3), packages = "stats")), 2L)
  expect_identical(future::value(future::future(b, globals = list(b = 7))), 7)
  expect_false(identical(future::value(future::future(Sys.getpid())), Sys.getpid()))
})

test_that("futures do not block, are lazy, and are resolved", {
  use_future()
  begin <- Sys.time()
  fs <- lapply(1:6, function(i) future::future({
    Sys.sleep(1)
    i
  }))
  expect_lt(as.numeric(Sys.time() - begin, units = "secs"), 2.5)
  expect_false(future::resolved(fs[[6]]))
  expect_identical(future::value(fs), as.list(1:6))
  lazy <- future::future(3, lazy = TRUE)
  expect_identical(future::value(lazy), 3)
})

test_that("conditions, output and visibility are relayed", {
  use_future()
  fut <- future::future({
    cat("printed\n")
    message("told")
    warning("warned")
    1
  })
  expect_output(expect_message(expect_warning(future::value(fut), "warned"), "told"), "printed")
  fut <- future::future(stop(structure(class = c("mine", "error", "condition"), list(message = "no", call = NULL))))
  expect_error(future::value(fut), "no", class = "mine")
})

test_that("random numbers are those of the seed, on any backend", {
  use_future()
  here <- future::future(rnorm(3), seed = 42)
  future::plan(future::sequential)
  there <- future::future(rnorm(3), seed = 42)
  expect_identical(future::value(here), future::value(there))
})

test_that("a future whose process dies is a FutureError, and others go on", {
  use_future()
  fut <- future::future(tools::pskill(Sys.getpid(), 9L))
  good <- future::future(1)
  expect_error(future::value(fut), "DIED", class = "FutureError")
  expect_identical(future::value(good), 1)
})

test_that("what is assigned in a future does not stay", {
  use_future()
  local_global <- 5
  for (i in 1:4) future::value(future::future({
    local_global
    assign("left_behind", 1, globalenv())
  }))
  expect_false(any(unlist(future::value(lapply(1:4, function(i) future::future(exists("left_behind") || exists("local_global"), globals = FALSE))))))
})

test_that("options of the plan reach tasks", {
  use_future()
  future::plan(rpipe, options = rp_options(queue = "quick"), workers = 5)
  expect_equal(future::nbrOfWorkers(), 5)
  fut <- future::future(1)
  future::value(fut)
  expect_identical(rp_info(fut$rpipe_handle)$queue, "quick")
})

test_that("a number of workers that is none is an error", {
  use_future()
  for (workers in list(0L, NA_integer_, "many", 1:2)) {
    expect_error({
      future::plan(rpipe, workers = workers)
      future::nbrOfWorkers()
    }, "1 or more")
  }
  future::plan(rpipe, workers = function() 3)
  expect_equal(future::nbrOfWorkers(), 3)
})

test_that("large globals are sent once, and come whole", {
  use_future()
  big <- as.numeric(seq_len(1e5))
  fs <- lapply(1:3, function(i) future::future(sum(big) + i))
  expect_identical(unlist(future::value(fs)), sum(big) + 1:3)
})

test_that("a future that is cancelled is no longer run", {
  skip_if_not("cancel" %in% getNamespaceExports("future"), "this version of future cannot cancel")
  use_future()
  fut <- future::future(Sys.sleep(60))
  getExportedValue("future", "cancel")(fut)
  expect_identical(unname(rp_wait(fut$rpipe_handle, timeout = 30)), FALSE)
  expect_identical(rp_status(fut$rpipe_handle)[[1L]], "CANCELLED")
})

test_that("future.apply, furrr, doFuture and nested plans run unchanged", {
  use_future()
  expect_equal(future::nbrOfWorkers(), 2)
  if (requireNamespace("future.apply", quietly = TRUE)) {
    k <- 10
    expect_identical(future.apply::future_sapply(1:5, function(i) i * k), (1:5) * k)
    a <- future.apply::future_lapply(1:4, function(i) rnorm(1), future.seed = 1L)
    future::plan(future::sequential)
    expect_identical(future.apply::future_lapply(1:4, function(i) rnorm(1), future.seed = 1L), a)
    future::plan(rpipe)
  }
  if (requireNamespace("furrr", quietly = TRUE)) {
    expect_identical(furrr::future_map_dbl(1:5, ~ .x^2), (1:5)^2)
  }
  if (requireNamespace("doFuture", quietly = TRUE)) {
    doFuture::registerDoFuture()
    expect_identical(foreach::`%dopar%`(foreach::foreach(i = 1:3, .combine = c), i + 1), 2:4 + 0)
  }
  future::plan(list(rpipe, future::sequential))
  expect_identical(future::value(future::future(future::value(future::future(7)))), 7)
})

test_that("foreach runs on it", {
  skip_if_not_installed("foreach")
  local_rpipe()
  registerDoRpipe()
  on.exit(foreach::registerDoSEQ())
  `%dopar%` <- foreach::`%dopar%`
  k <- 3
  expect_identical(foreach::foreach(i = 1:4, .combine = c) %dopar% (i * k), (1:4) * 3)
  expect_identical(foreach::foreach(i = 1:2, j = 3:4) %dopar% (i + j), list(4L, 6L))
  expect_identical(foreach::getDoParName(), "doRpipe")
  expect_equal(foreach::getDoParWorkers(), 2)
  expect_error(foreach::foreach(i = 1:3) %dopar% if (i == 2) stop("two") else i, "task 2 failed")
  expect_identical(foreach::foreach(i = 1:3, .errorhandling = "remove") %dopar% if (i == 2) stop("two") else i, list(1L, 3L))
  expect_s3_class((foreach::foreach(i = 1:3, .errorhandling = "pass") %dopar% if (i == 2) stop("two") else i)[[2]], "simpleError")
})
