# Requests as people make them from R: many at once with curl's multi interface,
# and one after the other with httr. Reads "<way> <number of requests>" a line and
# answers with the seconds from the first request to the data.frame of all answers.
# Argument: the server's URL.

url <- commandArgs(TRUE)[1L]

need <- function(...) {
  for (package in c(...)) {
    if (!nzchar(system.file(package = package))) {
      stop(structure(class = c("missing_package", "error", "condition"), list(message = package, call = NULL)))
    }
  }
}

row <- function(content) {
  answer <- jsonlite::fromJSON(content)
  list(sku = answer$sku, price = answer$price)
}

bind <- function(rows) {
  data.frame(sku = vapply(rows, `[[`, "", "sku"), price = vapply(rows, `[[`, 0, "price"))
}

ways <- list(
  ready = function(n) 1,
  multi = function(n) {
    need("curl", "jsonlite")
    system.time({
      rows <- vector("list", n)
      pool <- curl::new_pool(total_con = 64, host_con = 64)
      for (i in seq_len(n)) {
        local({
          i <- i
          done <- function(answer) rows[[i]] <<- row(rawToChar(answer$content))
          curl::curl_fetch_multi(paste0(url, "/items/", i), done = done, fail = stop, pool = pool)
        })
      }
      curl::multi_run(pool = pool)
      all <- bind(rows)
    })[["elapsed"]]
  },
  httr = function(n) {
    need("httr", "jsonlite")
    system.time({
      rows <- lapply(seq_len(n), function(i) {
        row(httr::content(httr::GET(paste0(url, "/items/", i)), "text", encoding = "UTF-8"))
      })
      all <- bind(rows)
    })[["elapsed"]]
  }
)

input <- file("stdin", "r")
while (length(line <- readLines(input, 1L)) > 0L) {
  words <- strsplit(line, " ")[[1L]]
  answer <- tryCatch(
    format(ways[[words[1L]]](as.integer(words[2L])), digits = 15),
    missing_package = function(e) paste("missing", conditionMessage(e))
  )
  cat(answer, "\n", sep = "")
}
