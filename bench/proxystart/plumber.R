# An API as it is measured at its start: it may hold a model, which is as many
# doubles as the environment variable MODEL says.
model <- runif(max(1, as.numeric(Sys.getenv("MODEL", "1"))))

#* @get /hello
function() {
  list(msg = "hi")
}

# Computes until its file is gone, two minutes at most. The file says that it has
# begun.
#* @get /spin
function(mark) {
  end <- Sys.time() + 120
  file.create(mark)
  while (file.exists(mark) && Sys.time() < end) sum(sqrt(1:1e5))
  list(done = TRUE)
}

# Reads the model, collects garbage as R does sooner or later, and holds its
# worker until so many have come here, so that each of them has.
#* @get /touch
function(dir, workers) {
  x <- sum(model[c(1, length(model))])
  gc()
  file.create(file.path(dir, Sys.getpid()))
  while (length(list.files(dir)) < as.integer(workers)) Sys.sleep(0.01)
  list(ok = x > 0)
}
