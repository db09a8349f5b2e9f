# An API as it is measured at its start: it may hold a model, which is as many
# doubles as the environment variable MODEL says.
model <- runif(max(1, as.numeric(Sys.getenv("MODEL", "1"))))

#* @get /hello
function() {
  list(msg = "hi")
}

# Computes for some seconds. The file says that it has begun.
#* @get /spin
function(seconds, mark) {
  end <- Sys.time() + as.numeric(seconds)
  file.create(mark)
  while (Sys.time() < end) sum(sqrt(1:1e4))
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
