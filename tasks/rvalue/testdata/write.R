# Usage: Rscript write.R TESTDATA DIR: writes each value in every form, and as JSON.
args <- commandArgs(TRUE)
source(file.path(args[1], "values.R"))
for (name in names(values)) {
  value <- values[[name]]
  forms(value, file.path(args[2], name))
  text <- tryCatch(
    suppressWarnings(jsonlite::toJSON(value, auto_unbox = TRUE, digits = NA, na = "null", null = "null",
      Date = "ISO8601", POSIXt = "ISO8601", UTC = TRUE, factor = "string")),
    error = function(e) ""
  )
  writeLines(enc2utf8(text), file.path(args[2], paste0(name, ".want")), useBytes = TRUE)
}
# many elements that refer to names which others before them brought along
forms(lapply(1:20000, function(i) if (i %% 10 == 0) c(a = i, b = i) else c(x = i)), file.path(args[2], "many"))
