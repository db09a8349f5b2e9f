# An unmodified start script, as people write them for Rscript.
library(plumber)

counter <- function() list(n = 1)

api <- pr("more.R") |>
  pr_get("/one", counter, comments = "One") |>
  pr_post("/sum", function(a, b) as.numeric(a) + as.numeric(b), serializer = serializer_unboxed_json()) |>
  pr_handle(c("GET", "PUT"), "/both", function(req) req$REQUEST_METHOD) |>
  pr_filter("mark", function(req, res) {
    res$setHeader("X-Mark", "1")
    forward()
  }) |>
  pr_set_404(function(req, res) {
    res$status <- 404
    list(nothing = req$PATH_INFO)
  }) |>
  pr_set_error(function(req, res, err) {
    res$status <- 500
    list(failed = conditionMessage(err))
  }) |>
  pr_get("/stop", function() stop("as asked")) |>
  pr_set_serializer(serializer_unboxed_json()) |>
  pr_get("/unboxed", counter) |>
  pr_set_api_spec(function(spec) {
    spec$info$title <- "A script"
    spec$paths[["/one"]]$get$summary <- "changed"
    spec
  })

pr_run(api, quiet = TRUE)
stop("the server has ended")
