# Processes of the program rpipe, in the background.

# launch starts the program in a process group of its own, so that Ctrl-C in this session
# is not meant for it. With autoclose it gets SIGTERM when this session ends, however it
# does: a shell waits for the end of a pipe that this session holds.
launch <- function(command, args, autoclose = TRUE, env = character(), dir = NULL) {
  binary <- rp_binary()
  log <- tempfile(paste0("rpipe-", command, "-"), fileext = ".log")
  line <- paste(c(shQuote(c(binary, command, args)), ">", shQuote(log), "2>&1 </dev/null & echo $!"), collapse = " ")
  script <- paste0(
    if (!is.null(dir)) paste0("cd ", shQuote(dir), " || exit 1; "),
    if (length(env)) paste0("export ", paste(env, collapse = " "), "; "),
    # Where there is no setsid, as on macOS, sh is a shell that has job control without a terminal.
    "if command -v setsid >/dev/null; then setsid ", line, "; else set -m; ", line, "; fi"
  )
  pid <- suppressWarnings(as.integer(system2("/bin/sh", c("-c", shQuote(script)), stdout = TRUE)))
  if (length(pid) != 1L || is.na(pid)) fail("rpipe could not be started with /bin/sh.")
  process <- list(pid = pid, log = log, command = command, keeper = NULL)
  if (autoclose) {
    process$keeper <- pipe(paste0("trap '' INT TSTP; cat >/dev/null; kill -TERM ", pid, " 2>/dev/null; :"), "w")
  }
  process
}

is_alive <- function(pid) {
  if (!tools::pskill(pid, 0L)) {
    return(FALSE)
  }
  # One that has ended stays until its parent has asked for it.
  stat <- tryCatch(suppressWarnings(readLines(file.path("/proc", pid, "stat"), n = 1L)), error = function(e) "")
  !grepl("^[0-9]+ \\(.*\\) Z", stat)
}

stop_process <- function(process, timeout) {
  tools::pskill(process$pid, tools::SIGTERM)
  until <- Sys.time() + timeout
  while (is_alive(process$pid) && Sys.time() < until) Sys.sleep(0.05)
  if (is_alive(process$pid)) tools::pskill(process$pid, tools::SIGKILL)
  if (!is.null(process$keeper)) tryCatch(close(process$keeper), error = function(e) NULL)
  invisible(NULL)
}

last_lines <- function(path, n = 15L) {
  if (!file.exists(path)) {
    return(character())
  }
  utils::tail(readLines(path, warn = FALSE), n)
}
