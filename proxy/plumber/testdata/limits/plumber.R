options(plumber.maxRequestSize = 1000, plumber.methodNotAllowed = FALSE)

#* @post /size
#* @parser octet
function(req) length(req$bodyRaw)

#* @get /get
function() "got"

#* @plumber
function(pr) {
  pr_set_docs(pr, FALSE)
}
