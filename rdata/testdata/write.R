# Usage: Rscript write.R TESTDATA DIR: writes every object of the catalogue in every form.
args <- commandArgs(TRUE)
source(file.path(args[1], "catalogue.R"))
for (name in names(catalogue)) {
  value <- catalogue[[name]]$value
  path <- function(form) file.path(args[2], paste0(name, ".", form))
  for (version in 2:3) for (xdr in c(TRUE, FALSE)) {
    writeBin(serialize(value, NULL, xdr = xdr, version = version), path(paste0(version, if (xdr) "x" else "b")))
  }
  for (compress in c("gzip", "bzip2", "xz")) {
    saveRDS(value, path(compress), compress = compress)
  }
  saveRDS(value, path("plain"), compress = FALSE)
}
