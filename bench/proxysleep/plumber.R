# The endpoint of valve's own benchmark.

#* @get /sleep
function() {
  Sys.sleep(0.5)
  list(slept = 0.5)
}
