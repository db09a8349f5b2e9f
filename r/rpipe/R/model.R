#' Make an endpoint of a model
#'
#' Writes a directory that serves predictions: the model, an R file, `proxy.yaml` with an
#' endpoint for rows, which puts rows of many requests into one call, and a `Dockerfile`.
#'
#' @param model A model with a `predict()` method, or a `vetiver_model`.
#' @param dir Directory, which must be new or empty.
#' @param prototype A data.frame with the columns that the model takes, and their types;
#'   rows are not used. Without it, that of the vetiver model, or the data that the model
#'   was fitted with.
#' @param name Name of the API.
#' @param path Where the endpoint is.
#' @param packages Packages that `predict()` needs. Without it, those of the model's class.
#' @param image Image of rpipe that the `Dockerfile` begins from.
#' @return The directory. `rp_proxy(file.path(dir, "proxy.yaml"))` serves it.
#' @examples
#' dir <- rp_write_model(lm(mpg ~ wt + hp, mtcars), tempfile("model"))
#' list.files(dir)
#' cat(readLines(file.path(dir, "proxy.yaml")), sep = "\n")
#' @export
rp_write_model <- function(model, dir, prototype = NULL, name = "model", path = "/predict", packages = NULL, image = "rpipe") {
  if (dir.exists(dir) && length(list.files(dir, all.files = TRUE, no.. = TRUE))) fail(dir, " is not empty.")
  if (inherits(model, "vetiver_model")) {
    prototype <- prototype %||% model$prototype
    packages <- packages %||% unlist(model$metadata$required_pkgs)
    if (missing(name)) name <- gsub("[^A-Za-z0-9_-]", "-", model$model_name)
    model <- model$model
  }
  if (is.null(prototype)) {
    terms <- tryCatch(stats::delete.response(stats::terms(model)), error = function(e) NULL)
    data <- tryCatch(eval(model$call$data, environment(stats::formula(model))), error = function(e) NULL)
    if (is.null(terms) || !is.data.frame(data)) fail("What the model takes cannot be found out: give `prototype`, a data.frame with its columns.")
    prototype <- as.data.frame(data)[0L, intersect(all.vars(terms), names(data)), drop = FALSE]
  }
  packages <- packages %||% packages_of_model(model)
  dir.create(dir, showWarnings = FALSE, recursive = TRUE)
  saveRDS(model, file.path(dir, "model.rds"))
  writeLines(c(
    sprintf("model <- readRDS(%s)", deparse("model.rds")),
    "predict_rows <- function(rows) {", "  predict(model, rows)", "}"
  ), file.path(dir, "model.R"))
  columns <- vapply(names(prototype), function(n) paste0("          ", yaml_text(n), ": ", type_of_column(prototype[[n]], n)), "")
  rules <- unlist(lapply(names(prototype), function(n) {
    if (is.factor(prototype[[n]])) paste0("          ", yaml_text(n), ": {enum: [", paste(vapply(levels(prototype[[n]]), yaml_text, ""), collapse = ", "), "]}")
  }))
  writeLines(c(
    "version: 1", "listen: ${listen:127.0.0.1:3000}", "apis:", paste0("  - name: ", name),
    "    r:", "      source: [model.R]", if (length(packages)) paste0("      packages: [", paste(packages, collapse = ", "), "]"),
    "    predict:", paste0("      - path: ", path), "        fun: predict_rows", "        schema:", columns,
    if (length(rules)) c("        rules:", rules)
  ), file.path(dir, "proxy.yaml"))
  debian <- tolower(paste0("r-cran-", setdiff(packages, rownames(utils::installed.packages(priority = "base")))))
  writeLines(c(
    paste("FROM", image),
    if (length(setdiff(packages, rownames(utils::installed.packages(priority = "base"))))) {
      paste("RUN apt-get update && apt-get install -y --no-install-recommends", paste(debian, collapse = " "))
    },
    "COPY model.rds model.R proxy.yaml /data/", "EXPOSE 3000",
    "CMD [\"proxy\", \"--config\", \"/data/proxy.yaml\", \"--var\", \"listen=0.0.0.0:3000\"]"
  ), file.path(dir, "Dockerfile"))
  invisible(dir)
}

packages_of_model <- function(model) {
  found <- unlist(lapply(class(model), function(c) {
    method <- utils::getS3method("predict", c, optional = TRUE)
    if (!is.null(method) && isNamespace(environment(method))) environmentName(environment(method))
  }))
  setdiff(utils::head(found, 1L), "base")
}

yaml_text <- function(x) if (grepl("^[A-Za-z_][A-Za-z0-9_]*$", x) && !tolower(x) %in% c("y", "n", "yes", "no", "true", "false", "on", "off", "null")) x else jsonlite::toJSON(x, auto_unbox = TRUE)

type_of_column <- function(x, name) {
  if (is.factor(x)) "factor"
  else if (inherits(x, "Date")) "date"
  else if (inherits(x, "POSIXct")) "timestamp[UTC]"
  else if (is.logical(x)) "bool"
  else if (is.integer(x)) "int32"
  else if (is.numeric(x)) "double"
  else if (is.character(x)) "string"
  else fail("Column `", name, "` of the prototype is ", class(x)[1L], ", which an endpoint does not take.")
}
