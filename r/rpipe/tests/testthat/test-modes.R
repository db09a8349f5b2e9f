pipeline <- function(dir, ...) {
  dir.create(dir)
  utils::write.csv(mtcars, file.path(dir, "cars.csv"), row.names = FALSE)
  yaml <- file.path(dir, "cars.yaml")
  writeLines(c("version: 1", "name: cars", "source:", "  csv: {path: cars.csv}", ...), yaml)
  yaml
}

test_that("a pipeline runs in the background or the foreground", {
  local_rpipe()
  yaml <- pipeline(tempfile("run"), "stages:", "  - filter: {where: \"mpg > ${least}\"}", "sink:", "  rds: {path: out}")
  p <- rp_run(yaml, vars = c(least = "25"))
  expect_identical(rp_process_wait(p, timeout = 60), 0L)
  expect_false(rp_process_alive(p))
  expect_gt(length(rp_process_log(p)), 0)
  d <- rp_read(file.path(dirname(yaml), "out"))
  expect_identical(nrow(d), sum(mtcars$mpg > 25))
  expect_error(rp_run(yaml, wait = TRUE), "status 2", class = "rpipe_exit")
  expect_error(rp_run("/nowhere.yaml"), "/nowhere.yaml")
  expect_output(print(p), "status 0")
})

test_that("an API is served until it is stopped", {
  local_rpipe()
  skip_if_not_installed("plumber")
  file <- tempfile(fileext = ".R")
  writeLines(c("#* @get /answer", "function() 42"), file)
  p <- rp_proxy(file, port = 0, n_max = 1)
  on.exit(rp_process_stop(p))
  expect_identical(rawToChar(curl::curl_fetch_memory(paste0(p$url, "/answer"))$content), "[42]")
  expect_output(print(p), p$url, fixed = TRUE)
  expect_identical(rp_process_stop(p), 0L)
  writeLines("stop('broken')", file)
  expect_error(rp_proxy(file, port = 0, timeout = 5), "broken|ready", class = "rpipe_start")
})

test_that("a model becomes an endpoint", {
  local_rpipe()
  fit <- lm(mpg ~ wt + hp, mtcars)
  dir <- rp_write_model(fit, tempfile("model"))
  expect_error(rp_write_model(fit, dir), "not empty")
  expect_match(readLines(file.path(dir, "Dockerfile"))[1L], "^FROM")
  p <- rp_proxy(file.path(dir, "proxy.yaml"), vars = c(listen = "127.0.0.1:0"))
  on.exit(rp_process_stop(p))
  h <- curl::new_handle(postfields = '{"wt": [2.62, 3.2], "hp": [110, 180]}')
  got <- jsonlite::fromJSON(rawToChar(curl::curl_fetch_memory(paste0(p$url, "/predict"), h)$content))
  expect_equal(unname(unlist(got)), unname(predict(fit, data.frame(wt = c(2.62, 3.2), hp = c(110, 180)))))
  vetiver <- structure(list(model = fit, model_name = "cars", prototype = mtcars[0, c("wt", "hp")], metadata = list(required_pkgs = "stats")), class = "vetiver_model")
  dir <- rp_write_model(vetiver, tempfile("model"))
  expect_true("  - name: cars" %in% readLines(file.path(dir, "proxy.yaml")))
})

test_that("partitions are read as columns", {
  dir <- tempfile()
  for (m in c("1", "2", "__HIVE_DEFAULT_PARTITION__")) {
    dir.create(file.path(dir, paste0("month=", m)), recursive = TRUE)
    saveRDS(data.frame(a = 1:2), file.path(dir, paste0("month=", m), "x.rds"))
  }
  writeLines("{}", file.path(dir, "_manifest.json"))
  expect_identical(sort(rp_read(dir)$month, na.last = TRUE), c(1L, 1L, 2L, 2L, NA, NA))
  expect_error(rp_read(tempfile()), "nothing")
})

test_that("all partitions together decide about the type of their column", {
  read <- function(values) {
    dir <- tempfile()
    for (v in values) {
      dir.create(file.path(dir, paste0("carrier=", v)), recursive = TRUE)
      saveRDS(data.frame(a = 1L), file.path(dir, paste0("carrier=", v), "x.rds"))
    }
    rp_read(dir)$carrier
  }
  expect_identical(read(c("9E", "AA")), c("9E", "AA")) # 9E is a number for R
  expect_identical(read("9E"), "9E")
  expect_identical(read(c("1", "x%2Fy")), c("1", "x/y"))
  expect_identical(read(c("F", "T")), c("F", "T"))
  expect_identical(read(c("false", "true")), c(FALSE, TRUE))
  expect_identical(read(c("-1.5", "2")), c(-1.5, 2))
})

test_that("Parquet of a pipeline is read, with its types and partitions", {
  local_rpipe()
  skip_if_not(requireNamespace("nanoparquet", quietly = TRUE) || requireNamespace("arrow", quietly = TRUE), "neither nanoparquet nor arrow is here")
  yaml <- pipeline(tempfile("run"), "sink:", "  parquet: {path: out, partition_by: [gear]}")
  expect_identical(rp_process_wait(rp_run(yaml), timeout = 60), 0L)
  d <- rp_read(file.path(dirname(yaml), "out"))
  expect_setequal(names(d), names(mtcars))
  expect_identical(nrow(d), nrow(mtcars))
  expect_equal(tapply(d$mpg, d$gear, sum), tapply(mtcars$mpg, mtcars$gear, sum))
})
