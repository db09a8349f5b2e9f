# Files: served as assets, included, and as bodies from disk.

#* @get /static/computed
function() "an endpoint goes before a file"

#* @get /included
function(res) include_file("site/a.txt", res, "text/plain")

#* @get /included/guessed
function(res) include_file("site/UPPER.CSV", res)

#* @get /included/html
function(res) include_html("page.html", res)

#* @get /included/md
function(res) {
  file.copy("notes.md", tempdir(), overwrite = TRUE) # it writes beside its file
  include_md(file.path(tempdir(), "notes.md"), res)
}

#* @get /included/none
function(res) include_file("none.txt", res)

#* @get /disk
function(res) {
  res$setHeader("Content-Type", "application/x-own")
  res$body <- c(file = normalizePath("site/b.bin"))
  res
}

#* @get /disk/owned
function(res) {
  file <- tempfile()
  writeLines(as.character(1:20000), file)
  res$setHeader("X-File", basename(file))
  res$body <- list(file = file, owned = TRUE)
  res
}

#* @head /disk
function(res) {
  res$body <- c(file = normalizePath("site/b.bin"))
  res
}

#* @assets ./site /static
list()

#* @assets site
list()
