# Processes of the program rpipe, in the background.

# launch starts the program in a session of its own, so that Ctrl-C in this one is not
# meant for it. A shell waits for it and writes down its exit status. With autoclose it
# gets SIGTERM when this session ends, however it does: another shell waits for the end
# of a pipe that this session holds. Processes that the session has started may hold the
# pipe, too, and live on, so it also looks every other second whether the session does.
launch <- function(command, args, autoclose = TRUE, dir = NULL) {
  binary <- rp_binary()
  sweep_ended()
  base <- tempfile(paste0("rpipe-", command, "-"))
  log <- paste0(base, ".log")
  script <- paste0(base, ".sh")
  writeLines(c(
    paste(paste(shQuote(c(binary, command, args)), collapse = " "), ">", shQuote(log), "2>&1 </dev/null &"),
    paste0("echo $! >", shQuote(paste0(base, ".new"))),
    paste("mv", shQuote(paste0(base, ".new")), shQuote(paste0(base, ".pid"))),
    paste0("wait $!; echo $? >", shQuote(paste0(base, ".status")))
  ), script)
  # Where there is no setsid, as on macOS, Perl makes the session, or else a shell that has
  # job control without a terminal, as bash.
  run <- paste0("/bin/sh ", shQuote(script), " >/dev/null 2>&1 </dev/null &")
  system2("/bin/sh", c("-c", shQuote(paste0(
    if (!is.null(dir)) paste0("cd ", shQuote(dir), " || exit 1; "),
    "if command -v setsid >/dev/null; then setsid ", run,
    " elif command -v perl >/dev/null; then perl -MPOSIX -e 'POSIX::setsid(); exec @ARGV' ", run,
    " else set -m; ", run, " fi"
  ))))
  until <- Sys.time() + 30
  while (!file.exists(paste0(base, ".pid"))) {
    if (Sys.time() > until) fail("rpipe could not be started with /bin/sh.")
    Sys.sleep(0.01) # until the shell has written it
  }
  pid <- as.integer(readLines(paste0(base, ".pid")))
  process <- list(pid = pid, log = log, base = base, command = command)
  if (autoclose) {
    the$bases[[as.character(pid)]] <- base
    end <- paste0("kill -TERM ", pid, " 2>/dev/null")
    the$keepers[[as.character(pid)]] <- pipe(paste0(
      "trap '' INT TSTP HUP TERM QUIT; ", # which a terminal or timeout(1) sends to all that is in the session's group
      "(while kill -0 ", Sys.getpid(), "; do sleep 2; done; kill -KILL $$; ", end, ") </dev/null >/dev/null 2>&1 & ",
      "echo $! $$ >", shQuote(paste0(base, ".keeper")), "; read x; kill -KILL $!; ", end, "; :"
    ), "w")
  }
  process
}

# exit_status is that of a process that has ended; NA where it cannot be known.
exit_status <- function(process) {
  file <- paste0(process$base, ".status")
  until <- Sys.time() + 5
  while (!file.exists(file) || !length(status <- readLines(file))) {
    if (is_alive(process$pid) || Sys.time() > until) {
      return(NA_integer_)
    }
    Sys.sleep(0.01) # until the shell has written it
  }
  as.integer(status)
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
  while (is_alive(process$pid) && Sys.time() < until) Sys.sleep(0.05) # until it has ended
  if (is_alive(process$pid)) tools::pskill(process$pid, tools::SIGKILL)
  release(process)
}

# release lets go of the pipe whose end would end a process.
release <- function(process) {
  key <- as.character(process$pid)
  keeper <- the$keepers[[key]]
  the$keepers[[key]] <- NULL
  if (!is.null(keeper)) {
    # Other processes that were started here since may hold the pipe, too, and closing
    # waits for the shell: it is ended first.
    file <- paste0(the$bases[[key]], ".keeper")
    until <- Sys.time() + 5
    while (!length(shells <- if (file.exists(file)) scan(file, 1L, quiet = TRUE)) && Sys.time() < until) Sys.sleep(0.01) # until it has said so
    if (length(shells)) tools::pskill(shells, tools::SIGKILL)
    tryCatch(suppressWarnings(close(keeper)), error = function(e) NULL)
  }
  invisible(NULL)
}

# sweep lets go of those that have ended by themselves.
sweep_ended <- function() {
  for (pid in names(the$keepers)) {
    if (!is_alive(as.integer(pid))) release(list(pid = pid))
  }
}

last_lines <- function(path, n = 15L) {
  if (!file.exists(path)) {
    return(character())
  }
  utils::tail(readLines(path, warn = FALSE), n)
}
