test_that("schedules are listed, run, paused, made up for, and their history read", {
  local_rpipe()
  skip_if(is.null(tryCatch(rp_schedule_list(), error = function(e) NULL)), "this rpipe has no schedules")
  config <- tempfile(fileext = ".yaml")
  writeLines(c(
    "schedules:",
    "  - {name: tick, cron: '0 3 * * *', expr: 'cat(\"ticked\\n\"); 6 * 7'}",
    "  - {name: bad, cron: '@daily', expr: 'stop(\"it is bad\")'}"
  ), config)
  con <- rp_start(workers = 1, data = tempfile("own"), config = config)
  on.exit(rp_stop(con))

  all <- rp_schedule_list()
  expect_setequal(all$name, c("tick", "bad"))
  tick <- all[all$name == "tick", ]
  expect_identical(tick$cron, "0 3 * * *")
  expect_false(tick$paused)
  expect_s3_class(tick$`next`, "POSIXct")
  times <- rp_schedule_next("tick", n = 3)
  expect_length(times, 3)
  expect_equal(as.numeric(diff(times), units = "days"), c(1, 1), tolerance = 0.05)

  expect_identical(rp_schedule_run("tick", wait = TRUE, timeout = 60), "COMPLETE")
  expect_warning(state <- rp_schedule_run("bad", wait = TRUE, timeout = 60), "it is bad")
  expect_identical(state, "ERROR")
  runs <- rp_schedule_history("tick")
  expect_identical(runs$cause, "manual")
  expect_identical(rp_result(paste0(runs$job, ".1")), 42)
  expect_match(rp_schedule_log(runs$id), "ticked", all = FALSE)
  bad <- rp_schedule_history(state = "ERROR")
  expect_identical(bad$schedule, "bad")
  expect_match(bad$message, "it is bad")

  rp_schedule_pause("tick")
  expect_true(rp_schedule_list()$paused[rp_schedule_list()$name == "tick"])
  rp_schedule_resume("tick")
  expect_false(rp_schedule_list()$paused[rp_schedule_list()$name == "tick"])

  rp_schedule_backfill("tick", "2026-01-01", as.POSIXct("2026-01-03", tz = "UTC"))
  expect_true(eventually(function() {
    runs <- rp_schedule_history("tick")
    sum(runs$cause == "backfill" & runs$state == "COMPLETE") == 2
  }, 60))
  expect_error(rp_schedule_run("none"), "none", class = "rpipe_not_found")
})
