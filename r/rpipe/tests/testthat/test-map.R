test_that("maps are as lapply()", {
  local_rpipe()
  f <- function(i, by = 2) i * by
  for (x in list(1:2000, c(a = 1, b = 2), list(), list(1, "a"), factor(c("u", "v")), as.Date("2026-01-01") + 0:2)) {
    expect_identical(rp_lapply(x, function(i) i), lapply(x, function(i) i))
  }
  expect_identical(rp_lapply(1:7, f, by = 3), lapply(1:7, f, by = 3))
  expect_identical(rp_map(1:3, ~ .x^2), list(1, 4, 9))
  expect_identical(rp_lapply(1:3, "sqrt"), lapply(1:3, sqrt))
  expect_identical(rp_lapply(list(1, NULL, 3), function(x) x), list(1, NULL, 3))
})

test_that("slow and uneven elements are all there, in order", {
  local_rpipe()
  expect_identical(rp_lapply(1:60, function(i) {
    Sys.sleep(if (i %% 20 == 0) 0.2 else 0.003)
    i
  }), as.list(1:60))
})

test_that("rows are arguments, chunks are frames", {
  local_rpipe()
  d <- data.frame(a = 1:3, b = c("x", "y", "z"))
  expect_identical(rp_apply(d, function(a, b, end) paste0(a, b, end), end = "!"), list("1x!", "2y!", "3z!"))
  expect_equal(rp_chunked(mtcars, function(d) d[d$mpg > 25, ], rows = 7), mtcars[mtcars$mpg > 25, ])
  expect_equal(rp_map_dfr(1:3, function(i) data.frame(i = i)), data.frame(i = 1:3))
  expect_identical(rp_chunked(data.frame(a = 1:10), function(d) sum(d$a), rows = 5), c(15L, 40L))
})

test_that("chunks of a frame have its columns, whatever their kind", {
  d <- data.frame(a = 1:6, f = factor(letters[1:6]), t = as.POSIXct("2026-01-01", tz = "UTC") + 0:5)
  d$l <- as.list(1:6)
  for (frame in list(d, d[0], mtcars, cbind(d, m = I(matrix(1:12, 6))))) {
    at <- 3:5
    want <- frame[at, , drop = FALSE]
    got <- rpipe:::rows_of(frame, at)
    expect_equal(got, want, ignore_attr = "row.names")
    expect_identical(class(got), class(want))
    expect_identical(dim(got), dim(want))
  }
  expect_identical(rownames(rpipe:::rows_of(mtcars, 2:3)), rownames(mtcars)[2:3])
})

test_that("a frame that is sent in several jobs comes back whole and in order", {
  local_rpipe()
  d <- data.frame(i = 1:600000, x = as.numeric(600000:1), y = 0)
  got <- rp_chunked(d, function(d) {
    d$y <- d$x + d$i
    d
  }, rows = 20000)
  expect_identical(got$i, d$i)
  expect_true(all(got$y == 600001))
  expect_error(suppressMessages(rp_chunked(d, function(d) if (d$i[1] == 580001) stop("the last") else d, rows = 20000)), "the last", class = "rp_task_error")
  expect_identical(sum(rp_chunked(d, function(d) if (d$i[1] == 1) stop("no") else nrow(d), rows = 20000, on_error = "null")), 580000L)
})

test_that("errors stop, stay or become NULL", {
  local_rpipe()
  f <- function(i) if (i %% 4 == 0) stop("no ", i) else i
  e <- expect_error(suppressMessages(rp_lapply(1:6, f)), "element 4: no 4", class = "rp_task_error")
  got <- rp_lapply(1:8, f, on_error = "continue")
  expect_identical(got[-c(4, 8)], as.list(c(1L, 2L, 3L, 5L, 6L, 7L)))
  expect_s3_class(got[[8]], "simpleError")
  expect_match(conditionMessage(got[[8]]), "element 8: no 8")
  expect_identical(rp_lapply(3:5, f, on_error = "null"), list(3L, NULL, 5L))
})

test_that("random numbers do not depend on workers and groups", {
  local_rpipe()
  draw <- function(i) c(rnorm(1), runif(1))
  set.seed(7)
  a <- rp_lapply(1:30, draw, seed = TRUE)
  set.seed(7)
  expect_identical(rp_lapply(1:30, draw, seed = TRUE, group = 7), a)
  expect_identical(rp_lapply(1:9, draw, seed = 5), rp_lapply(1:9, draw, seed = 5, group = 1))
  expect_false(identical(rp_lapply(1:9, draw, seed = 5), rp_lapply(1:9, draw, seed = 6)))
  expect_length(unique(unlist(a)), 60)
})

test_that("a worker that is killed loses nothing", {
  local_rpipe()
  once <- tempfile()
  expect_message(
    got <- rp_lapply(1:40, function(i) {
      Sys.sleep(0.05)
      if (i == 17 && file.create(once) && i == 17 && !file.exists(paste0(once, "2"))) {
        file.create(paste0(once, "2"))
        tools::pskill(Sys.getpid(), 9L)
        Sys.sleep(5) # until the signal has come
      }
      i
    }),
    "run again"
  )
  expect_identical(got, as.list(1:40))
})

test_that("one element that kills its process does not take its group along", {
  local_rpipe()
  got <- rp_lapply(1:8, function(i) {
    if (i == 3) tools::pskill(Sys.getpid(), 9L)
    i
  }, on_error = "null", group = 8, options = rp_options(retry = list(lost = 1)))
  expect_identical(got[-3], as.list(c(1L, 2L, 4:8)))
  expect_null(got[[3]])
})

test_that("what somebody else deletes meanwhile is an error, and neither waited for nor left out", {
  local_rpipe()
  wait <- rpipe:::wait_once
  first <- TRUE
  mock("wait_once", function(con, ids, ...) {
    w <- wait(con, ids, ...)
    if (first && isTRUE(w$done)) {
      first <<- FALSE
      rp_delete(paste0(sub("[.].*", "", ids[1L]), ".1"), con = con)
    }
    w
  })
  expect_error(suppressMessages(rp_lapply(1:2, identity)), "is no more", class = "rpipe_deleted")
  first <- TRUE
  expect_error(suppressMessages(rp_lapply(1:2, identity, group = 1)), "element 1", class = "rpipe_deleted")
})

test_that("an interrupt cancels, and what was done is kept", {
  local_rpipe()
  done <- tempfile()
  dir.create(done)
  f <- function(i) {
    Sys.sleep(0.1)
    file.create(file.path(done, paste0(i, "-", Sys.getpid(), "-", as.numeric(Sys.time()))))
    i
  }
  # The signal comes from outside, as it does from a terminal.
  system(sprintf("(sleep 2; kill -INT %d) >/dev/null 2>&1 &", Sys.getpid()))
  said <- character()
  begin <- Sys.time()
  took <- withCallingHandlers(
    tryCatch(rp_lapply(1:100, f, group = 1), interrupt = function(i) Sys.time() - begin),
    message = function(m) said <<- c(said, conditionMessage(m))
  )
  expect_s3_class(took, "difftime")
  expect_lt(as.numeric(took, units = "secs"), 8)
  id <- sub('.*rp_resume\\("([^"]*)"\\).*', "\\1", gsub("\n", " ", paste(said, collapse = " ")))
  expect_true(rpipe:::is_id(id))
  jobs <- rp_list(what = "jobs", label = paste0("rp_map=", id))
  expect_true(eventually(function() all(!rp_status(jobs$id) %in% c("PENDING", "RUNNING", "DEFERRED"))))
  n <- length(dir(done))
  expect_gt(n, 0)
  expect_lt(n, 100)
  expect_identical(rp_resume(id), as.list(1:100))
  expect_lte(length(dir(done)), 100 + 2) # those that were interrupted have not told
})

test_that("a map of the first round is resumed whole", {
  local_rpipe()
  id <- rpipe:::new_id()
  system(sprintf("(sleep 0.5; kill -INT %d) >/dev/null 2>&1 &", Sys.getpid()))
  suppressMessages(tryCatch(rp_lapply(1:12, function(i) {
    Sys.sleep(0.4)
    i
  }, options = rp_options(id = id)), interrupt = function(i) NULL))
  expect_identical(rp_resume(id), as.list(1:12))
})
