#' Find the program rpipe
#'
#' Looks at the option `rpipe.binary`, the environment variable `RPIPE_BIN`, `PATH`, for a
#' `bin/rpipe` in the working directory and above it, as in a clone of the repository, and
#' for what [rp_install()] has put there.
#'
#' @return The path. An error where there is none says how to get it.
#' @seealso [rp_install()]
#' @examples
#' try(rp_binary())
#' @export
rp_binary <- function() {
  named <- list("the option rpipe.binary" = getOption("rpipe.binary"), RPIPE_BIN = Sys.getenv("RPIPE_BIN"))
  for (source in names(named)) {
    path <- named[[source]]
    if (is.null(path) || !nzchar(path)) next
    if (file.access(path, 1L) != 0L || dir.exists(path)) {
      fail("The program rpipe is not at ", path, ", where ", source, " says it is.", class = "rpipe_no_binary")
    }
    return(normalizePath(path))
  }
  path <- Sys.which("rpipe")
  if (nzchar(path)) {
    return(normalizePath(path[[1L]]))
  }
  for (path in c(file.path(above(getwd()), "bin", "rpipe"), system.file("bin", "rpipe", package = "rpipe"))) {
    if (nzchar(path) && file.access(path, 1L) == 0L && !dir.exists(path)) {
      return(normalizePath(path))
    }
  }
  path <- installed()
  if (!is.null(path)) {
    return(path)
  }
  fail(
    "The program rpipe was not found: it is not in PATH, and neither option(rpipe.binary =) nor RPIPE_BIN names it.\n",
    "rp_install() downloads it; it is at https://github.com/rpipe-dev/rpipe/releases, too.\n",
    "To use a server elsewhere, nothing is needed: rp_connect(\"https://...\").",
    class = "rpipe_no_binary"
  )
}

# above is a directory and those that it is in.
above <- function(dir) {
  all <- dir
  while (dirname(dir) != dir) all <- c(all, dir <- dirname(dir))
  all
}

os_type <- function() .Platform$OS.type

not_on_windows <- function(what, type = os_type()) {
  if (type == "windows") {
    fail(
      what, " is for running R processes on this machine, which rpipe does not do on Windows. ",
      "Use a server elsewhere, or in WSL or a container: rp_connect(\"http://...\").",
      class = "rpipe_windows"
    )
  }
}
