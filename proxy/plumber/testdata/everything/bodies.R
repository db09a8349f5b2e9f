# An endpoint for each parser.

shown <- function(req) {
  body <- req$body
  list(
    names = names(body), body = lapply(body, function(x) if (is.raw(x)) as.integer(x) else unclass(x)),
    args = names(req$argsBody), size = length(req$bodyRaw), class = class(body)
  )
}

#* @post /default
function(req, x = NULL) list(x = x, shown = shown(req), post = req$postBody)

#* @post /json
#* @parser json
function(req) list(body = req$body)

#* @post /json/lists
#* @parser json list(simplifyVector = FALSE)
function(req) list(body = req$body)

#* @post /form
#* @parser form
function(a, b, req) list(a = a, b = b, body = req$body)

#* @post /text
#* @parser text
function(req) list(body = req$body)

#* @post /csv
#* @parser csv
function(req) as.data.frame(req$body)

#* @post /tsv
#* @parser tsv
function(req) as.data.frame(req$body)

#* @post /yaml
#* @parser yaml
function(req) list(body = req$body)

#* @post /rds
#* @parser rds
function(req) list(body = req$body)

#* @post /octet
#* @parser octet
function(req) list(body = as.integer(req$body), class = class(req$body))

#* @post /multi
#* @parser multi
#* @parser octet
#* @parser text
#* @parser json
#* @parser csv
function(req) {
  lapply(req$body, function(part) {
    value <- part$value
    list(
      name = part$name, filename = part$filename, type = part$content_type,
      bytes = length(value), parsed = if (is.null(part$parsed)) NULL else class(part$parsed)
    )
  })
}

#* @post /multi/args
#* @parser multi
#* @parser octet
#* @parser text
function(f, note = "") list(files = names(f), sizes = lengths(f), note = note)

#* @post /length
#* @parser octet
function(req) list(n = length(req$bodyRaw), sum = sum(as.integer(req$bodyRaw)))

#* @put /echo
#* @parser octet
#* @serializer octet
function(req) req$bodyRaw
