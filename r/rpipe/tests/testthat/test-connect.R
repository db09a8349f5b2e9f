test_that("what is wrong is said, and how to mend it", {
  withr_env <- Sys.getenv(c("RPIPE_URL", "RPIPE_DATA"), NA)
  Sys.unsetenv("RPIPE_URL")
  Sys.setenv(RPIPE_DATA = tempfile())
  on.exit(for (n in names(withr_env)) if (is.na(withr_env[[n]])) Sys.unsetenv(n) else do.call(Sys.setenv, as.list(withr_env[n])))
  rp_disconnect()
  expect_error(rp_connect(), "rp_start\\(\\)", class = "rpipe_no_server")
  expect_error(rp_connect("http://127.0.0.1:1"), "cannot be reached", class = "rpipe_no_connection")
  expect_error(rp_connect("ftp://x"), "no address")
  expect_error(rp_connect("http://user:pw@host"), "token")
  old <- options(rpipe.binary = "/nowhere/rpipe")
  on.exit(options(old), add = TRUE)
  expect_error(rp_binary(), "/nowhere/rpipe", class = "rpipe_no_binary")
})

test_that("a server is found, used and stopped", {
  local_rpipe()
  data <- tempfile("own")
  con <- rp_start(workers = 1, data = data)
  expect_output(print(con), "rpipe server")
  again <- rp_start(data = data)
  expect_identical(again$url, con$url)
  pid <- con$process$pid
  expect_true(rp_stop(con))
  expect_false(rp_stop(con))
  expect_false(rpipe:::is_alive(pid))
  expect_error(rp_connect(con$url), class = "rpipe_no_connection")
})

test_that("a server stops while other processes of the session go on", {
  local_rpipe()
  con <- rp_start(workers = 1, data = tempfile("own"))
  cluster <- parallel::makePSOCKcluster(1) # has what this session has open
  on.exit(parallel::stopCluster(cluster))
  begin <- Sys.time()
  expect_true(rp_stop(con))
  expect_lt(as.numeric(Sys.time() - begin, units = "secs"), 30)
})

test_that("a server that does not start says why", {
  local_rpipe()
  expect_error(rp_start(data = tempfile("own"), args = "--durability=never"), "durability", class = "rpipe_start")
})

test_that("what is to be done once is not asked for again, where it may have been done", {
  con <- rpipe:::new_connection("http://127.0.0.1:1")
  asked <- 0
  mock("send", function(con, ...) {
    asked <<- asked + 1
    if (asked > 1) charToRaw("{}") else rpipe:::fault(con, list(status_code = 503L, content = charToRaw('{"error": "engine", "message": "the engine does not answer"}')))
  })
  expect_identical(rpipe:::POST(con, "/v1/x"), setNames(list(), character()))
  expect_identical(asked, 2)
  asked <- 0
  expect_error(rpipe:::POST(con, "/v1/x", once = TRUE), "does not answer", class = "rpipe_engine")
  expect_identical(asked, 1)
})

test_that("a server ends with the session that started it", {
  local_rpipe()
  ends <- function(..., by = "tools::pskill(Sys.getpid(), 9L)", command = character()) {
    data <- tempfile("own")
    script <- tempfile(fileext = ".R")
    writeLines(c(
      load_this_package(),
      sprintf("con <- rp_start(workers = 1, data = %s)", deparse(data)),
      "cat(con$process$pid, '\\n')", ..., by
    ), script)
    command <- c(command, file.path(R.home("bin"), "Rscript"), "--vanilla", script)
    out <- suppressWarnings(system2(command[1L], command[-1L], stdout = TRUE))
    pid <- as.integer(out[1L])
    expect_false(is.na(pid))
    expect_true(eventually(function() !rpipe:::is_alive(pid)))
  }
  ends()
  file <- tempfile()
  on.exit(tools::pskill(as.integer(readLines(file)), 9L))
  ends(sprintf("system(\"sleep 600 >/dev/null 2>&1 & echo $! >'%s'\")", file)) # which has what the session has open
  if (nzchar(Sys.which("setsid"))) { # a terminal that is closed, or timeout(1), tell all that is in a group
    for (signal in c("HUP", "TERM")) ends(by = sprintf("system('kill -%s 0')", signal), command = c("setsid", "-w"))
  }
})

test_that("ids are ULIDs, and leave the session's random numbers alone", {
  set.seed(1)
  before <- .Random.seed
  ids <- replicate(50, rpipe:::new_id())
  expect_identical(.Random.seed, before)
  expect_true(all(rpipe:::is_id(ids)))
  expect_identical(anyDuplicated(ids), 0L)
})

test_that("a server with tokens wants one, and owners keep apart", {
  local_rpipe()
  store <- tempfile(fileext = ".json")
  config <- tempfile(fileext = ".yaml")
  writeLines(c("auth: always", paste0("tokens: ", store)), config)
  old <- Sys.getenv("RPIPE_TOKENS", NA)
  Sys.setenv(RPIPE_TOKENS = store)
  on.exit(if (is.na(old)) Sys.unsetenv("RPIPE_TOKENS") else Sys.setenv(RPIPE_TOKENS = old))
  token <- function(owner) {
    out <- system2(rp_binary(), c("token", "create", "--owner", owner, "--scope", "submit"), stdout = TRUE, stderr = TRUE)
    regmatches(out, regexpr("rpt_[A-Za-z0-9_-]+", out))[1L]
  }
  ann <- token("ann")
  ben <- token("ben")
  expect_error(rp_start(workers = 1, data = tempfile("own"), config = config, timeout = 10), "token", class = "rpipe_error")
  Sys.setenv(RPIPE_TOKEN = ann)
  on.exit(Sys.unsetenv("RPIPE_TOKEN"), add = TRUE)
  con <- rp_start(workers = 1, data = tempfile("own"), config = config)
  on.exit(rp_stop(con), add = TRUE)
  expect_identical(con$info$owner, "ann")
  h <- rp_submit(1)
  expect_identical(rp_result(h), 1)
  other <- rp_connect(con$url, token = ben, set = FALSE)
  expect_identical(rp_status(h, con = other)[[1L]], "MISSING")
  expect_error(rp_connect(con$url, token = "rpt_wrong"), class = "rpipe_unauthorized")
})
