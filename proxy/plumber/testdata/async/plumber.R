library(promises)
future::plan(future::multisession, workers = 2)

#* @filter later
function(req) {
  promise_resolve(NULL) %...>% {
    forward()
  }
}

#* @get /promise
function() promise(function(resolve, reject) later::later(function() resolve(list(p = 1)), 0.02))

#* @get /chain
function() promise_resolve(2) %...>% `+`(1) %...>% {
  list(value = .)
}

#* @get /reject
function() promise(function(resolve, reject) reject("nope"))

#* @get /throw
function() promise_resolve(1) %...>% {
  stop("thrown")
}

#* @get /future
function() future_promise({
  list(elsewhere = TRUE)
})

#* @get /future/value
function() {
  f <- future::future(6 * 7)
  future::value(f)
}

#* @get /future/stop
function() future_promise(stop("over there"))

#* @get /both
function(req, res) {
  promise_all(a = future_promise(1), b = promise_resolve(2)) %...>% {
    res$setHeader("X-Late", "yes")
    .
  }
}

#* @get /png
#* @serializer png list(width = 100, height = 100)
function() promise_resolve(1) %...>% {
  plot(1:3)
}

#* @get /sync
function() "sync"
