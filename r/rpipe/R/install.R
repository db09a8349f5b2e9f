#' Install the program rpipe
#'
#' Downloads the program of a release for this machine, compares it with the checksum of
#' the release, and puts it into a directory of the user's, where [rp_start()] and the
#' others find it. On Windows there is none: use a server elsewhere.
#'
#' @param version Version, such as `"0.1.0"`. Without it, that of this package.
#' @param url Where releases are: a directory (of a web server, or of this machine) with a
#'   directory for each, such as `v0.1.0`. Without it, the option `rpipe.releases`, then
#'   the environment variable `RPIPE_RELEASES`, then the releases on GitHub. The variables
#'   `https_proxy`, `http_proxy` and `no_proxy` are heeded.
#' @param dir Directory. Without it, one of the user's data for this package.
#' @param force Whether to download what is there already.
#' @param timeout Seconds that the download may take.
#' @return The path of the program, invisibly.
#' @seealso [rp_binary()] says which program is used.
#' @examples
#' if (FALSE) rp_install()
#' try(rp_install(url = tempfile(), dir = tempfile()))
#' @export
rp_install <- function(version = NULL, url = NULL, dir = NULL, force = FALSE, timeout = 600) {
  version <- sub("^v", "", check_string(version %||% package_version_text(), "version"))
  if (!grepl("^[0-9]+[.][0-9]+[.][0-9]+([-+][0-9A-Za-z.+-]+)?$", version)) {
    fail("\"", version, "\" is no version: such as \"0.1.0\".")
  }
  platform <- platform_of()
  name <- paste0("rpipe_", version, "_", platform)
  target <- file.path(dir %||% installed_dir(), version, "rpipe")
  if (file.exists(target) && !force) {
    cli::cli_inform("rpipe {version} is at {.path {target}} already.")
    return(invisible(normalizePath(target)))
  }
  from <- paste0(sub("/+$", "", check_string(url %||% releases_url(), "url")), "/v", version, "/")
  work <- tempfile("rpipe-install")
  dir.create(work)
  on.exit(unlink(work, recursive = TRUE))

  sums <- file.path(work, "SHA256SUMS")
  download(paste0(from, "SHA256SUMS"), sums, 60, paste0("There is no release ", version, " of rpipe"))
  archive <- paste0(name, ".tar.gz")
  want <- sum_in(sums, archive, version, from)
  packed <- file.path(work, archive)
  cli::cli_inform("Downloading rpipe {version} for {platform} from {.url {from}}")
  download(paste0(from, archive), packed, timeout, paste0("Release ", version, " has lost its file ", archive))
  got <- sha256(packed)
  if (!identical(got, want)) {
    fail(
      archive, " is not what the release says it is: its SHA-256 is ", got, ", not ", want, ". Nothing was installed. ",
      "Was the download changed on its way, by a proxy say? rp_install() tries again.",
      class = "rpipe_checksum"
    )
  }
  utils::untar(packed, files = paste0(name, "/rpipe"), exdir = work)
  put_program(file.path(work, name, "rpipe"), target, version)
  first <- tryCatch(rp_binary(), error = function(e) NULL)
  if (is.null(dir) && !identical(first, normalizePath(target))) {
    cli::cli_inform(c(
      "rpipe {version} is at {.path {target}}.",
      "!" = "What is used is {.path {first}}, which comes before it: see {.fun rpipe::rp_binary}."
    ))
  } else {
    cli::cli_inform("rpipe {version} is at {.path {target}}.")
  }
  invisible(normalizePath(target))
}

RELEASES <- "https://github.com/rpipe-dev/rpipe/releases/download"

releases_url <- function() {
  given <- getOption("rpipe.releases", Sys.getenv("RPIPE_RELEASES"))
  if (nzchar(given)) given else RELEASES
}

package_version_text <- function() as.character(utils::packageVersion("rpipe"))

# installed_dir is where rp_install() puts programs, in a directory for each version.
installed_dir <- function() {
  if (exists("R_user_dir", asNamespace("tools"))) {
    return(getExportedValue("tools", "R_user_dir")("rpipe", "data"))
  }
  base <- Sys.getenv("XDG_DATA_HOME", file.path(path.expand("~"), ".local", "share"))
  file.path(base, "R", "rpipe")
}

# installed is the program that rp_install() has put there, of this package's version or
# else the newest one; or NULL.
installed <- function(dir = installed_dir()) {
  all <- list.files(dir)
  all <- all[file.access(file.path(dir, all, "rpipe"), 1L) == 0L]
  if (!length(all)) {
    return(NULL)
  }
  numbers <- numeric_version(sub("[-+].*", "", all), strict = FALSE)
  best <- if (package_version_text() %in% all) package_version_text() else all[order(numbers, decreasing = TRUE)][1L]
  normalizePath(file.path(dir, best, "rpipe"))
}

# platform_of is how releases name a system and its processor.
platform_of <- function(system = Sys.info()[["sysname"]], machine = Sys.info()[["machine"]], type = os_type()) {
  not_on_windows("rp_install()", type)
  os <- c(Linux = "linux", Darwin = "darwin")[system]
  arch <- c(x86_64 = "amd64", amd64 = "amd64", aarch64 = "arm64", arm64 = "arm64")[machine]
  platform <- paste0(os, "_", arch)
  if (!platform %in% c("linux_amd64", "linux_arm64", "darwin_arm64")) {
    fail(
      "Releases have no rpipe for ", system, " on ", machine, ": there are Linux on x86_64 and aarch64, and macOS on arm64. ",
      "With Go and a C++ compiler, `go install github.com/rpipe-dev/rpipe/cmd/rpipe@latest` builds it.",
      class = "rpipe_platform"
    )
  }
  platform
}

# download writes what is at an address, or in a directory, to a file.
download <- function(url, file, timeout, missing) {
  if (!grepl("^https?://", url)) {
    path <- sub("^file://", "", url)
    if (!file.exists(path)) fail(missing, ": there is no file ", path, ".", class = "rpipe_no_release")
    if (!file.copy(path, file)) fail(path, " cannot be read.")
    return(file)
  }
  h <- curl::new_handle(
    timeout = as.integer(timeout), connecttimeout = 20L, followlocation = TRUE, failonerror = FALSE,
    useragent = paste0("rpipe-r/", package_version_text())
  )
  got <- tryCatch(curl::curl_fetch_disk(url, file, h), error = function(e) e)
  if (inherits(got, "error")) {
    proxy <- proxy_for(url)
    fail(
      url, " cannot be downloaded: ", conditionMessage(got), ". ",
      if (nzchar(proxy)) paste0("The proxy ", proxy, " was asked, since the environment says so. "),
      "Without a way out, download it elsewhere and give its directory as `url`, or set RPIPE_BIN to the program.",
      class = "rpipe_offline"
    )
  }
  if (got$status_code == 404L) fail(missing, ": there is nothing at ", url, ".", class = "rpipe_no_release")
  if (got$status_code >= 300L) fail(url, " cannot be downloaded: the answer is status ", got$status_code, ".", class = "rpipe_download")
  file
}

# proxy_for is the proxy that the environment names for an address, without a password.
proxy_for <- function(url) {
  scheme <- sub(":.*", "", url)
  names <- c(paste0(scheme, "_proxy"), if (scheme == "https") "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
  found <- Sys.getenv(names)
  sub("//[^/@]*@", "//", c(found[nzchar(found)], "")[[1L]])
}

# sum_in is the checksum of a file of the release.
sum_in <- function(sums, archive, version, from) {
  lines <- strsplit(readLines(sums, warn = FALSE), " +[*]?")
  lines <- Filter(function(l) length(l) == 2L && grepl("^[0-9a-f]{64}$", l[1L]), lines)
  if (!length(lines)) {
    fail(from, "SHA256SUMS is no list of checksums: is a page of a proxy or a login there?", class = "rpipe_checksum")
  }
  names <- vapply(lines, `[`, "", 2L)
  if (!archive %in% names) {
    fail(
      "Release ", version, " has no ", archive, ". It has ",
      paste(grep("^rpipe_.*_(linux|darwin)_.*[.]tar[.]gz$", names, value = TRUE), collapse = ", "), ".",
      class = "rpipe_platform"
    )
  }
  lines[[match(archive, names)]][1L]
}

# sha256 of a file, by R 4.5 or a program that every Linux or macOS has.
sha256 <- function(file) {
  if (exists("sha256sum", asNamespace("tools"))) {
    return(unname(getExportedValue("tools", "sha256sum")(file)))
  }
  for (command in list(c("sha256sum"), c("shasum", "-a", "256"), c("openssl", "dgst", "-sha256", "-r"))) {
    if (!nzchar(Sys.which(command[1L]))) next
    out <- suppressWarnings(system2(command[1L], c(command[-1L], shQuote(file)), stdout = TRUE, stderr = FALSE))
    found <- regmatches(out, regexpr("^\\\\?[0-9a-f]{64}", out))
    if (length(found)) {
      return(sub("\\", "", found[1L], fixed = TRUE))
    }
  }
  fail("Nothing here computes a SHA-256: neither R 4.5 nor the programs sha256sum, shasum and openssl are there.")
}

# put_program puts a program in its place, once it has shown that it runs here.
put_program <- function(file, target, version) {
  Sys.chmod(file, "0755")
  said <- suppressWarnings(tryCatch(system2(file, "version", stdout = TRUE, stderr = TRUE), error = conditionMessage))
  if (!any(grepl(paste0("rpipe v", version), said, fixed = TRUE))) {
    fail(
      "The rpipe of release ", version, " does not run here: ", paste(utils::head(said, 3L), collapse = "; "), ". ",
      "It needs glibc 2.35 or later (Debian 12, Ubuntu 22.04), or macOS 13. ",
      "Elsewhere build it: go install github.com/rpipe-dev/rpipe/cmd/rpipe@v", version,
      class = "rpipe_platform"
    )
  }
  dir.create(dirname(target), showWarnings = FALSE, recursive = TRUE)
  beside <- paste0(target, ".", Sys.getpid(), ".new") # a rename replaces a program that runs
  if (!file.copy(file, beside) || !file.rename(beside, target)) {
    unlink(beside)
    fail(target, " cannot be written: give another `dir`.")
  }
}
