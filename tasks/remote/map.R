function(data, fun, coded = NULL, args = NULL, seed = NULL) {
  describe <- function(x) {
    if (is.null(x)) {
      "NULL"
    } else if (is.object(x) || is.list(x) || !is.vector(x)) {
      paste("a value of class", paste(class(x), collapse = "/"))
    } else {
      article <- if (grepl("^[aeiou]", class(x)[1L])) "an" else "a"
      sprintf("%s %s of length %d", article, class(x)[1L], length(x))
    }
  }
  if (!grepl("::", fun, fixed = TRUE) && is.null(get0(fun, globalenv(), mode = "function"))) {
    known <- Filter(function(n) exists(n, globalenv(), mode = "function", inherits = FALSE), ls(globalenv()))
    distance <- if (length(known)) utils::adist(fun, known, ignore.case = TRUE)[1L, ] else numeric()
    close <- distance <= max(2, nchar(fun) %/% 3)
    near <- known[close][order(distance[close])]
    hint <- if (length(near)) {
      paste0("; did you mean ", paste(utils::head(near, 3L), collapse = " or "), "?")
    } else if (length(known)) {
      paste0("; the sources define ", paste(utils::head(known, 10L), collapse = ", "))
    } else {
      "; the sources define no function"
    }
    stop(structure(
      class = c("rpipe_no_function", "error", "condition"),
      list(message = paste0("there is no function ", fun, "()", hint), call = NULL)
    ))
  }
  head <- if (grepl("::", fun, fixed = TRUE)) str2lang(fun) else as.name(fun)
  if (!is.null(coded)) {
    # columns that came as codes with levels are text
    class(data) <- NULL
    for (i in coded) data[[i]] <- attr(data[[i]], "levels")[data[[i]]]
    class(data) <- "data.frame"
  }
  refs <- lapply(seq_along(args), function(i) call("[[", quote(args), i))
  names(refs) <- names(args)
  call <- as.call(c(list(head, quote(data)), refs))
  scratch <- new.env(parent = globalenv())
  scratch$data <- data
  scratch$args <- args
  data <- NULL
  if (!is.null(seed)) {
    old <- get0(".Random.seed", globalenv(), inherits = FALSE)
    on.exit(if (is.null(old)) {
      RNGkind("default", "default", "default")
      set.seed(NULL)
    } else {
      assign(".Random.seed", old, globalenv())
    })
    assign(".Random.seed", c(10407L, seed), globalenv())
  }
  value <- eval(call, scratch)
  if (!is.data.frame(value)) {
    stop(structure(class = c("rpipe_not_a_data_frame", "error", "condition"), list(message = sprintf(
      "%s() returned %s; a map function must return a data.frame", fun, describe(value)
    ), call = call)))
  }
  value
}
