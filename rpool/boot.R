# What an R process of rpipe runs first: read the scripts beside this one
# and serve. The process leaves through parallel:::mcexit() or quit() inside
# main(); the last line is reached only by a jump to top level, such as
# invokeRestart("abort") in a user's code.
local({
  setwd(Sys.getenv("RPIPE_WD", ".")) # a profile may have gone elsewhere
  dir <- Sys.getenv("RPIPE_BOOT")
  self <- new.env(parent = baseenv())
  for (script in c("worker.R", "http.R", "task.R", "template.R")) {
    sys.source(file.path(dir, script), self, keep.source = FALSE)
  }
  self$main(Sys.getenv("RPIPE_DIR"), Sys.getenv("RPIPE_NONCE"))
})
quit("no", 70L, FALSE)
