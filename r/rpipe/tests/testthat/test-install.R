# rp_install() against a web server with the files of a release. RPIPE_DIST names those of
# make release-snapshot; without it they hold a small program in place of the real one.

release_files <- function(version, platform = rpipe:::platform_of()) {
  dir <- tempfile("release")
  at <- file.path(dir, paste0("v", version))
  dir.create(at, recursive = TRUE)
  name <- paste0("rpipe_", version, "_", platform)
  dist <- Sys.getenv("RPIPE_DIST")
  if (nzchar(dist) && file.exists(file.path(dist, paste0(name, ".tar.gz")))) {
    file.copy(list.files(dist, "^(rpipe_.*|SHA256SUMS)$", full.names = TRUE), at)
  } else {
    dir.create(program <- file.path(dir, name))
    writeLines(c("#!/bin/sh", sprintf("echo 'rpipe v%s'", version)), file.path(program, "rpipe"))
    old <- setwd(dir)
    on.exit(setwd(old))
    utils::tar(file.path(at, paste0(name, ".tar.gz")), name, compression = "gzip", tar = "tar")
    resum(at)
  }
  dir
}

resum <- function(at) {
  files <- list.files(at, "^rpipe")
  writeLines(paste0(vapply(file.path(at, files), rpipe:::sha256, ""), "  ", files), file.path(at, "SHA256SUMS"))
}

snapshot_version <- function() {
  files <- list.files(Sys.getenv("RPIPE_DIST", tempfile()), paste0("_", rpipe:::platform_of(), "[.]tar[.]gz$"))
  if (length(files)) sub("^rpipe_(.*)_[a-z]+_[a-z0-9]+[.]tar[.]gz$", "\\1", files[1L]) else "0.1.0"
}

# web_server serves a directory as GitHub does, by way of a redirect; it answers requests
# that are meant for a proxy, too. It returns list(url, requests), the latter a function.
web_server <- function(dir, frame = parent.frame()) {
  testthat::skip_if_not_installed("httpuv")
  testthat::skip_on_os("windows")
  base <- tempfile("server")
  code <- bquote({
    port <- httpuv::randomPort(host = "127.0.0.1")
    httpuv::startServer("127.0.0.1", port, list(call = function(req) {
      path <- sub("^http://[^/]*", "", req$PATH_INFO)
      cat(req$PATH_INFO, req$HTTP_HOST, "\n", file = paste0(.(base), ".log"), append = TRUE)
      if (grepl("^/get/", path)) {
        return(list(status = 302L, headers = list(Location = sub("^/get/", "/files/", path)), body = ""))
      }
      file <- file.path(.(dir), sub("^/files/", "", path))
      if (!file.exists(file)) {
        return(list(status = 404L, headers = list(), body = "Not Found"))
      }
      list(status = 200L, headers = list(), body = c(file = file))
    }))
    writeLines(as.character(c(Sys.getpid(), port)), paste0(.(base), ".new"))
    file.rename(paste0(.(base), ".new"), paste0(.(base), ".at"))
    until <- Sys.time() + 300
    while (Sys.time() < until) httpuv::service(100)
  })
  script <- paste0(base, ".R")
  writeLines(deparse(code), script)
  system2(file.path(R.home("bin"), "Rscript"), c("--vanilla", script), wait = FALSE, stdout = FALSE, stderr = FALSE)
  stopifnot(eventually(function() file.exists(paste0(base, ".at")), 60))
  at <- as.integer(readLines(paste0(base, ".at")))
  do.call(on.exit, list(bquote(tools::pskill(.(at[1L]), 9L)), add = TRUE), envir = frame)
  list(
    port = at[2L], url = paste0("http://127.0.0.1:", at[2L], "/get"),
    requests = function() if (file.exists(log <- paste0(base, ".log"))) readLines(log) else character()
  )
}

# with_environment sets variables for the length of a call; NA unsets.
with_environment <- function(values, code) {
  old <- Sys.getenv(names(values), NA, names = TRUE)
  set <- function(v) for (n in names(v)) if (is.na(v[[n]])) Sys.unsetenv(n) else do.call(Sys.setenv, as.list(v[n]))
  on.exit(set(old))
  set(values)
  code
}

no_proxy <- c(http_proxy = NA, https_proxy = NA, all_proxy = NA, no_proxy = NA, HTTPS_PROXY = NA, ALL_PROXY = NA)

test_that("a release is downloaded, compared, and found", {
  version <- snapshot_version()
  files <- release_files(version)
  server <- web_server(files)
  data <- tempfile("data")
  with_environment(c(no_proxy, R_USER_DATA_DIR = data, PATH = "/usr/bin:/bin", RPIPE_BIN = NA, RPIPE_RELEASES = server$url), {
    old <- options(rpipe.binary = NULL)
    on.exit(options(old))
    wd <- setwd(tempdir())
    on.exit(setwd(wd), add = TRUE)
    expect_error(rp_binary(), "rp_install\\(\\)", class = "rpipe_no_binary")
    path <- suppressMessages(rp_install(version))
    expect_match(path, paste0(version, "/rpipe"), fixed = TRUE)
    expect_identical(rp_binary(), path)
    expect_match(system2(path, "version", stdout = TRUE)[1L], paste0("rpipe v", version), fixed = TRUE)
    n <- length(server$requests())
    expect_message(rp_install(version), "already")
    expect_length(server$requests(), n)
    suppressMessages(rp_install(version, force = TRUE))
    expect_gt(length(server$requests()), n)
    expect_identical(list.files(dirname(path)), "rpipe")
    if (nzchar(Sys.getenv("RPIPE_DIST"))) {
      con <- rp_start(workers = 1, data = tempfile("own"))
      on.exit(rp_stop(con), add = TRUE)
      expect_identical(con$info$version, paste0("v", version))
      expect_identical(rp_result(rp_submit(6 * 7)), 42)
    }
  })
})

test_that("a file that is not what the release says is not installed", {
  files <- release_files("0.1.0")
  at <- file.path(files, "v0.1.0")
  archive <- list.files(at, "tar[.]gz$")[1L]
  cat("x", file = file.path(at, archive), append = TRUE)
  server <- web_server(files)
  dir <- tempfile()
  install <- function() with_environment(no_proxy, suppressMessages(rp_install("0.1.0", server$url, dir)))
  if (grepl(rpipe:::platform_of(), archive, fixed = TRUE)) {
    expect_error(install(), "SHA-256 is [0-9a-f]{64}, not [0-9a-f]{64}.*Nothing was installed", class = "rpipe_checksum")
  }
  expect_false(file.exists(file.path(dir, "0.1.0", "rpipe")))
  unlink(file.path(at, archive))
  expect_error(install(), "lost its file", class = "rpipe_no_release")
  writeLines(paste0(strrep("0", 64), "  rpipe_0.1.0_plan9_mips.tar.gz"), file.path(at, "SHA256SUMS"))
  expect_error(install(), "has no rpipe_0.1.0_", class = "rpipe_platform")
  writeLines("<html>Please log in</html>", file.path(at, "SHA256SUMS"))
  expect_error(install(), "no list of checksums", class = "rpipe_checksum")
  expect_error(with_environment(no_proxy, rp_install("9.9.9", server$url, dir)), "no release 9.9.9.*v9.9.9/SHA256SUMS", class = "rpipe_no_release")
})

test_that("a program that does not run here is not installed", {
  files <- release_files("0.0.7") # calls itself 0.0.7 where it is not of RPIPE_DIST
  at <- file.path(files, "v0.0.8")
  file.rename(file.path(files, "v0.0.7"), at)
  name <- paste0("rpipe_0.0.8_", rpipe:::platform_of())
  dir.create(file.path(files, name))
  writeLines(c("#!/bin/sh", "echo 'GLIBC_9.99 not found' >&2; exit 1"), file.path(files, name, "rpipe"))
  old <- setwd(files)
  on.exit(setwd(old))
  utils::tar(file.path(at, paste0(name, ".tar.gz")), name, compression = "gzip", tar = "tar")
  resum(at)
  dir <- tempfile()
  expect_error(suppressMessages(rp_install("0.0.8", files, dir)), "GLIBC_9.99 not found.*glibc", class = "rpipe_platform")
  expect_false(dir.exists(dir))
})

test_that("without a way out it says so, and which proxy was asked", {
  dir <- tempfile()
  with_environment(no_proxy, {
    expect_error(rp_install("0.1.0", "http://127.0.0.1:1", dir), "cannot be downloaded.*RPIPE_BIN", class = "rpipe_offline")
  })
  with_environment(replace(no_proxy, "http_proxy", "http://me:secret@127.0.0.1:1"), {
    e <- expect_error(rp_install("0.1.0", "http://releases.invalid", dir), "The proxy http://127.0.0.1:1 was asked", class = "rpipe_offline")
    expect_no_match(conditionMessage(e), "secret")
  })
  expect_error(rp_install("0.1.0", tempfile(), dir), "There is no release 0.1.0", class = "rpipe_no_release")
  expect_error(rp_install("latest", dir = dir), "no version")
})

test_that("a proxy is asked for the release", {
  version <- snapshot_version()
  server <- web_server(release_files(version))
  with_environment(replace(no_proxy, "http_proxy", paste0("http://127.0.0.1:", server$port)), {
    suppressMessages(rp_install(version, "http://releases.invalid/files", tempfile()))
  })
  expect_match(server$requests(), "releases.invalid", all = TRUE)
})

test_that("platforms have names; others are refused", {
  expect_identical(rpipe:::platform_of("Linux", "aarch64", "unix"), "linux_arm64")
  expect_identical(rpipe:::platform_of("Darwin", "arm64", "unix"), "darwin_arm64")
  expect_error(rpipe:::platform_of("Darwin", "x86_64", "unix"), "macOS on arm64.*go install", class = "rpipe_platform")
  expect_error(rpipe:::platform_of("SunOS", "sun4v", "unix"), "SunOS on sun4v", class = "rpipe_platform")
  expect_error(rpipe:::platform_of("Windows", "x86-64", "windows"), "rp_connect", class = "rpipe_windows")
})

test_that("of the programs that were installed this package's version comes first, then the newest", {
  dir <- tempfile()
  for (v in c("0.0.9", "0.10.0", "0.9.1")) {
    dir.create(file.path(dir, v), recursive = TRUE)
    file.create(path <- file.path(dir, v, "rpipe"))
    Sys.chmod(path, "0755")
  }
  dir.create(file.path(dir, "9.0.0")) # without a program
  expect_match(rpipe:::installed(dir), "0.10.0/rpipe$")
  own <- as.character(utils::packageVersion("rpipe"))
  dir.create(file.path(dir, own))
  file.create(path <- file.path(dir, own, "rpipe"))
  Sys.chmod(path, "0755")
  expect_match(rpipe:::installed(dir), paste0(own, "/rpipe$"))
  expect_null(rpipe:::installed(tempfile()))
})
