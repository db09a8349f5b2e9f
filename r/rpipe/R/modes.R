#' Run a pipeline, or serve an API
#'
#' `rp_run()` runs `rpipe run`, `rp_proxy()` `rpipe proxy`, in the background, or with
#' `wait` until they end, printing what they log; Ctrl-C then ends them as a drain.
#'
#' @param file `rp_run()`: a pipeline file. `rp_proxy()`: `plumber.R`, or a `proxy.yaml`.
#' @param vars Values of `${name}` in the file, by name.
#' @param wait Whether to wait for the end.
#' @param autoclose Whether it ends with this session.
#' @param args More arguments of the command, such as `"--resume"`.
#' @return A process: see [rp_process_wait()]; with `wait` the exit status, invisibly, and
#'   an error where it is not 0 (or 4: rows are in the dead letter).
#' @examplesIf rpipe:::can_serve()
#' dir <- tempfile()
#' dir.create(dir)
#' write.csv(mtcars, file.path(dir, "cars.csv"), row.names = FALSE)
#' yaml <- file.path(dir, "cars.yaml")
#' writeLines(c(
#'   "version: 1", "name: cars", "source:", "  csv: {path: cars.csv}",
#'   "sink:", "  rds: {path: out}"
#' ), yaml)
#' p <- rp_run(yaml)
#' rp_process_wait(p)
#' nrow(rp_read(file.path(dir, "out")))
#' @export
rp_run <- function(file, vars = NULL, wait = FALSE, autoclose = TRUE, args = character()) {
  not_on_windows("rp_run()")
  check_string(file, "file")
  if (!file.exists(file)) fail("There is no file ", file, ".")
  p <- background("run", c(normalizePath(file), "--progress", "plain", var_flags(vars), args), autoclose)
  if (wait) rp_process_wait(p, show = TRUE) else p
}

#' @rdname rp_run
#' @param port,host Where to listen; 0 takes a free port.
#' @param n_max,n_min R processes at most, and that are kept up.
#' @param timeout Seconds that it may take until R is ready.
#' @export
rp_proxy <- function(file = "plumber.R", port = 3000, host = "127.0.0.1", n_max = 0, n_min = 1, vars = NULL, wait = FALSE,
                     autoclose = TRUE, timeout = 60, args = character()) {
  not_on_windows("rp_proxy()")
  if (!file.exists(file)) fail("There is no file ", file, ".")
  config <- grepl("[.]ya?ml$", file)
  p <- background("proxy", c(
    if (config) c("--config", normalizePath(file)) else c("--file", normalizePath(file), "--host", host, "--port", port, "--n-max", n_max, "--n-min", n_min),
    var_flags(vars), args
  ), autoclose)
  if (!wait) {
    p$url <- await_proxy(p, timeout)
    return(p)
  }
  rp_process_wait(p, show = TRUE)
}

var_flags <- function(vars) {
  if (length(vars) && is.null(names(vars))) fail("`vars` must have names.")
  unlist(lapply(names(vars), function(n) c("--var", paste0(n, "=", vars[[n]]))))
}

# await_proxy is where a proxy listens, as its log says, once it is ready.
await_proxy <- function(p, timeout) {
  until <- Sys.time() + timeout
  repeat {
    lines <- last_lines(p$log, 1000L)
    url <- regmatches(lines, regexpr("https?://[^ \"]+", lines))
    ended <- !is_alive(p$pid)
    if (length(url) && !ended) {
      url <- sub("/+$", "", url[1L])
      ready <- tryCatch(curl::curl_fetch_memory(paste0(url, "/__rpipe__/ready"), curl::new_handle(timeout_ms = 2000L))$status_code == 200L, error = function(e) FALSE)
      if (ready) {
        return(url)
      }
    }
    if (ended || Sys.time() > until) {
      rp_process_stop(p)
      fail("rpipe proxy ", if (ended) "has ended" else paste0("was not ready within ", timeout, " s"), ":\n", paste(utils::tail(lines, 15L), collapse = "\n"), class = "rpipe_start")
    }
    Sys.sleep(0.05) # between two looks
  }
}

background <- function(command, args, autoclose) {
  structure(launch(command, as.character(args), autoclose, dir = getwd()), class = "rpipe_process")
}

#' Processes of [rp_run()] and [rp_proxy()]
#'
#' @param p What those return.
#' @param timeout Seconds to wait.
#' @param show Whether to print what it logs meanwhile.
#' @param n How many lines, the last ones.
#' @return `rp_process_wait()`: the exit status, invisibly. `rp_process_log()`: lines.
#'   `rp_process_alive()`: whether it runs.
#' @examplesIf rpipe:::can_serve()
#' file <- tempfile(fileext = ".R")
#' writeLines(c("#* @get /", "function() 1"), file)
#' if (requireNamespace("plumber", quietly = TRUE)) {
#'   p <- rp_proxy(file, port = 0)
#'   p$url
#'   rp_process_stop(p)
#' }
#' @export
rp_process_wait <- function(p, timeout = Inf, show = FALSE) {
  done <- FALSE
  on.exit(if (!done && show) stop_process(p, 40))
  until <- Sys.time() + timeout
  seen <- 0L
  repeat {
    alive <- is_alive(p$pid)
    if (show) {
      lines <- last_lines(p$log, .Machine$integer.max)
      if (length(lines) > seen) cat(utils::tail(lines, length(lines) - seen), sep = "\n")
      seen <- length(lines)
    }
    if (!alive) break
    if (Sys.time() > until) fail("rpipe ", p$command, " has not ended within ", timeout, " s.", class = "rpipe_timeout")
    Sys.sleep(0.1) # between two looks at its log
  }
  done <- TRUE
  release(p)
  status <- exit_status(p)
  if (!status %in% c(0L, 4L)) {
    fail("rpipe ", p$command, " has ended with status ", status, if (!show) paste0(":\n", paste(last_lines(p$log), collapse = "\n")), class = "rpipe_exit")
  }
  invisible(status)
}

#' @rdname rp_process_wait
#' @export
rp_process_log <- function(p, n = 100) last_lines(p$log, n)

#' @rdname rp_process_wait
#' @export
rp_process_alive <- function(p) is_alive(p$pid)

#' @rdname rp_process_wait
#' @export
rp_process_stop <- function(p, timeout = 40) {
  stop_process(p, timeout)
  invisible(exit_status(p))
}

#' @export
print.rpipe_process <- function(x, ...) {
  cat("<rpipe ", x$command, ", process ", x$pid, if (is_alive(x$pid)) ", runs" else paste0(", ended with status ", exit_status(x)), if (!is.null(x$url)) paste0(", at ", x$url), ">\n", sep = "")
  invisible(x)
}

#' Read what a pipeline has written
#'
#' Reads the files of an output directory into one data.frame: Parquet, where arrow or
#' nanoparquet is installed, and rds, csv and ndjson. Names of directories such as
#' `month=1` become columns.
#'
#' @param path A directory or a file.
#' @return A data.frame.
#' @examples
#' dir <- tempfile()
#' dir.create(file.path(dir, "gear=4"), recursive = TRUE)
#' saveRDS(mtcars[mtcars$gear == 4, -10], file.path(dir, "gear=4", "part.rds"))
#' names(rp_read(dir))
#' @export
rp_read <- function(path) {
  if (!file.exists(path)) fail("There is nothing at ", path, ".")
  files <- if (dir.exists(path)) {
    list.files(path, "[.](parquet|rds|csv|csv[.]gz|ndjson|ndjson[.]gz|jsonl)$", recursive = TRUE)
  } else {
    basename(path)
  }
  base <- if (dir.exists(path)) path else dirname(path)
  files <- files[!grepl("(^|/)[._]", files)]
  if (!length(files)) fail("There are no files of an output below ", path, ".")
  keys <- lapply(strsplit(dirname(files), "/", fixed = TRUE), grep, pattern = "=", fixed = TRUE, value = TRUE)
  columns <- lapply(stats::setNames(nm = unique(sub("=.*", "", unlist(keys)))), function(name) {
    partition_column(vapply(keys, function(k) {
      value <- sub("^[^=]*=", "", k[match(name, sub("=.*", "", k))])
      if (is.na(value) || value == "__HIVE_DEFAULT_PARTITION__") NA_character_ else curl::curl_unescape(value)
    }, ""))
  })
  bind_rows(lapply(seq_along(files), function(i) {
    d <- read_part(file.path(base, files[i]))
    for (name in sub("=.*", "", keys[[i]])) d[[name]] <- rep(columns[[name]][i], nrow(d))
    d
  }))
}

# partition_column is the column of what the names of directories say. All of it decides
# about the type; R's own idea of numbers takes the airline 9E for one, and T for TRUE.
partition_column <- function(text) {
  known <- text[!is.na(text)]
  if (all(grepl("^-?[0-9]+([.][0-9]+)?([eE][-+]?[0-9]+)?$", known))) {
    utils::type.convert(text, as.is = TRUE)
  } else if (all(tolower(known) %in% c("true", "false"))) {
    as.logical(text)
  } else {
    text
  }
}

read_part <- function(file) {
  has <- function(p) requireNamespace(p, quietly = TRUE)
  if (grepl("[.]rds$", file)) {
    readRDS(file)
  } else if (grepl("[.]csv", file)) {
    utils::read.csv(file, check.names = FALSE)
  } else if (grepl("json", file)) {
    con <- gzfile(file)
    on.exit(close(con))
    jsonlite::stream_in(con, verbose = FALSE)
  } else if (has("nanoparquet")) {
    as.data.frame(getExportedValue("nanoparquet", "read_parquet")(file))
  } else if (has("arrow")) {
    as.data.frame(getExportedValue("arrow", "read_parquet")(file))
  } else {
    fail(file, " is Parquet: install.packages(\"nanoparquet\") or install.packages(\"arrow\") to read it.", class = "rpipe_no_parquet")
  }
}
