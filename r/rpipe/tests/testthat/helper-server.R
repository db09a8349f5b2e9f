# Tests run against a real server of their own, which one rpipe serve is for all of a
# process. Where the program is missing they are skipped; RPIPE_BIN says where it is.

local_rpipe <- function(frame = parent.frame()) {
  skip_on_os("windows")
  if (!nzchar(Sys.getenv("RPIPE_BIN")) && inherits(try(rp_binary(), silent = TRUE), "try-error")) {
    skip("the program rpipe is not here")
  }
  if (is.null(shared$con)) {
    shared$con <- rp_start(workers = 2, queues = c("default", "quick"), data = file.path(tempdir(), "rpipe"))
  }
  rp_connect(shared$con$url)
}

shared <- new.env()

# eventually waits until something is so.
eventually <- function(f, seconds = 30) {
  until <- Sys.time() + seconds
  while (!isTRUE(f())) {
    if (Sys.time() > until) {
      return(FALSE)
    }
    Sys.sleep(0.05) # between two looks
  }
  TRUE
}

# load_this_package is a line of R that loads the package that is tested: where it was
# installed, or by pkgload where it was loaded from its source.
load_this_package <- function() {
  path <- getNamespaceInfo("rpipe", "path")
  if (dir.exists(file.path(path, "Meta"))) {
    sprintf("library(rpipe, lib.loc = %s)", deparse(dirname(path)))
  } else {
    sprintf("suppressMessages(getExportedValue('pkgload', 'load_all')(%s, quiet = TRUE))", deparse(path))
  }
}

# mock replaces a function of the package until the caller ends.
mock <- function(name, value, frame = parent.frame()) {
  put <- function(v) {
    ns <- asNamespace("rpipe")
    unlockBinding(name, ns)
    assign(name, v, envir = ns)
    lockBinding(name, ns)
  }
  old <- get(name, asNamespace("rpipe"))
  put(value)
  do.call(on.exit, list(bquote(.(put)(.(old))), add = TRUE), envir = frame)
}
