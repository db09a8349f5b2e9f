test_that("on Windows what runs R here refuses, and says what to do", {
  mock("os_type", function() "windows")
  calls <- list(rp_start = quote(rp_start()), rp_run = quote(rp_run("x.yaml")), rp_proxy = quote(rp_proxy()), rp_install = quote(rp_install()))
  for (name in names(calls)) {
    expect_error(eval(calls[[name]]), paste0(name, ".*Windows.*rp_connect"), class = "rpipe_windows")
  }
})

test_that("on Windows a server elsewhere is used", {
  local_rpipe()
  mock("os_type", function() "windows")
  rp_connect(shared$con$url)
  expect_identical(rp_result(rp_submit(6 * 7)), 42)
  expect_identical(rp_lapply(1:5, function(i) i + 1L), as.list(2:6))
})

test_that("without setsid, as on macOS, a server is none of the session's process group", {
  local_rpipe()
  bin <- tempfile("bin")
  dir.create(bin)
  for (dir in c("/usr/bin", "/bin")) {
    files <- setdiff(list.files(dir), c("setsid", list.files(bin)))
    if (length(files)) file.symlink(file.path(dir, files), file.path(bin, files))
  }
  old <- Sys.getenv(c("PATH", "RPIPE_BIN"), names = TRUE)
  Sys.setenv(RPIPE_BIN = rp_binary(), PATH = bin)
  on.exit(do.call(Sys.setenv, as.list(old)))
  expect_identical(Sys.which("setsid")[[1L]], "")
  con <- rp_start(workers = 1, data = tempfile("own"))
  group <- function(pid) trimws(system2("ps", c("-o", "pgid=", "-p", pid), stdout = TRUE))
  expect_false(group(con$process$pid) == group(Sys.getpid()))
  expect_identical(rp_result(rp_submit(1, con = con), con = con), 1)
  expect_true(rp_stop(con))
  expect_false(rpipe:::is_alive(con$process$pid))
})

test_that("server.json of another machine is an error, of a process that has ended it is none", {
  dir <- tempfile("data")
  dir.create(dir)
  put <- function(...) writeLines(jsonlite::toJSON(list(url = "http://127.0.0.1:1", ...), auto_unbox = TRUE), file.path(dir, "server.json"))
  here <- Sys.info()[["nodename"]]
  put(host = here, pid = Sys.getpid())
  expect_identical(rpipe:::local_server(dir)$url, "http://127.0.0.1:1")
  ended <- as.integer(system2("sh", c("-c", shQuote("echo $$")), stdout = TRUE))
  put(host = here, pid = ended)
  expect_null(rpipe:::local_server(dir))
  put(host = "elsewhere", pid = Sys.getpid())
  expect_error(rpipe:::local_server(dir), "on elsewhere.*RPIPE_URL.*remove .*server.json", class = "rpipe_elsewhere")
  writeLines("{", file.path(dir, "server.json"))
  expect_null(rpipe:::local_server(dir))
})

test_that("the monitor names the dashboard, and runs as a job of an IDE", {
  con <- local_rpipe()
  expect_output(rp_monitor(times = 1), paste0("Dashboard: ", con$url, "/ui/"), fixed = TRUE)
  started <- NULL
  mock("run_in_ide", function(script) started <<- script)
  rp_monitor(job = TRUE)
  expect_identical(format(file.mode(started)), "600")
  lines <- readLines(started)
  lines <- c(load_this_package(), sub("times = Inf", "times = 1", lines))
  script <- tempfile(fileext = ".R")
  writeLines(lines, script)
  out <- system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), stdout = TRUE)
  expect_match(out, "Dashboard: ", all = FALSE)
  expect_false(file.exists(started)) # it may hold a token
  mock("run_in_ide", function(script) stop("no IDE"))
  before <- list.files(tempdir(), "rpipe-monitor")
  expect_error(rp_monitor(job = TRUE), "no IDE")
  expect_identical(list.files(tempdir(), "rpipe-monitor"), before)
})
