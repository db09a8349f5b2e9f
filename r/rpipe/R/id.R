ULID_DIGITS <- strsplit("0123456789abcdefghjkmnpqrstvwxyz", "")[[1L]]

# new_id is the id of a job: a ULID, which nobody else has made. The session's random
# numbers stay as they are.
new_id <- function() {
  ms <- floor(as.numeric(Sys.time()) * 1000)
  time <- character(10L)
  for (i in 10:1) {
    time[i] <- ULID_DIGITS[ms %% 32 + 1]
    ms <- floor(ms / 32)
  }
  paste0(c(time, ULID_DIGITS[as.integer(random_bytes(16L)) %% 32L + 1L]), collapse = "")
}

random_bytes <- function(n) {
  if (file.exists("/dev/urandom")) {
    con <- file("/dev/urandom", "rb", raw = TRUE)
    on.exit(close(con))
    return(readBin(con, "raw", n))
  }
  old <- get0(".Random.seed", globalenv(), inherits = FALSE)
  on.exit(restore_seed(old))
  set.seed(NULL)
  as.raw(sample(0:255, n, replace = TRUE))
}

restore_seed <- function(old) {
  env <- globalenv()
  if (is.null(old)) {
    suppressWarnings(rm(list = ".Random.seed", envir = env))
  } else {
    assign(".Random.seed", old, envir = env)
  }
}

is_id <- function(x) grepl("^[0-7][0-9a-hjkmnp-tv-z]{25}([.][1-9][0-9]*)?$", x)
