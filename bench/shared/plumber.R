# What a proxy is measured with: nearly nothing, so that what is left is plumber
# and the way to it.

#* @get /hello
function() {
  list(msg = "hi")
}
