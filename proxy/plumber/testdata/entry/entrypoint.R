options_plumber(apiURL = "https://api.example.com/base", trailingSlash = TRUE, legacyRedirects = FALSE)
options(plumber.sharedSecret = "open")
pr() |>
  pr_get("/", function() "home") |>
  pr_get("/slash/", function() "slash") |>
  pr_static("/files", "../files/site") |>
  pr_cookie(key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", name = "session") |>
  pr_get("/count", function(req) {
    n <- if (is.null(req$session$n)) 0 else req$session$n
    req$session$n <- n + 1
    n
  })
