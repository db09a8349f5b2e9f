# An endpoint for each serializer.

#* @get /json
#* @serializer json list(digits = 3, pretty = TRUE)
function() list(x = pi, y = letters[1:2])

#* @get /unboxed
#* @serializer unboxedJSON
function() list(x = 1, y = "é", z = NULL)

#* @get /html
#* @serializer html
function() "<h1>é</h1>"

#* @get /text
#* @serializer text
function() c("plain", "é")

#* @get /print
#* @serializer print
function() list(a = 1, b = "x")

#* @get /cat
#* @serializer cat
function() "cat"

#* @get /format
#* @serializer format
function() 1234.5678

#* @get /csv
#* @serializer csv
function() head(iris)

#* @get /tsv
#* @serializer tsv
function() head(mtcars)

#* @get /rds
#* @serializer rds
function() head(iris)

#* @get /yaml
#* @serializer yaml
function() list(a = 1, b = list(c = "x"))

#* @get /octet
#* @serializer octet
function() as.raw(0:255)

#* @get /type
#* @serializer contentType list(type = "application/x-own")
function() charToRaw("own")

#* @get /png
#* @serializer png list(width = 200, height = 150)
function() plot(1:10)

#* @get /jpeg
#* @serializer jpeg list(width = 200, height = 150)
function() plot(1:10)

#* @get /tiff
#* @serializer tiff list(width = 60, height = 50)
function() plot.new()

#* @get /bmp
#* @serializer bmp list(width = 60, height = 50)
function() plot.new()

#* @get /svg
#* @serializer svg
function() plot(1:3)

#* @get /pdf
#* @serializer pdf
function() plot(1:10)

#* @get /widget
#* @serializer htmlwidget
function() {
  set.seed(1)
  htmlwidgets::createWidget("own", list(a = 1), elementId = "fixed", package = "htmlwidgets")
}

#* @get /xml
#* @serializer null
function() "raw text"

#* @get /attachment
#* @serializer csv
function() as_attachment(head(cars), "cars.csv")

#* @get /attachment/unnamed
#* @serializer text
function() as_attachment("x")

#* @get /broken
#* @serializer csv
function() function() 1

#* Formats whose packages may not be installed.
#* @plumber
function(pr) {
  there <- function(package) requireNamespace(package, quietly = TRUE)
  if (there("geojsonsf")) {
    pr_get(pr, "/geojson", function() geojsonsf::geojson_sf('{"type":"Point","coordinates":[1,2]}'), serializer = serializer_geojson())
  }
  if (there("arrow")) {
    pr_get(pr, "/feather", function() iris, serializer = serializer_feather())
    pr_get(pr, "/parquet", function() iris, serializer = serializer_parquet())
  }
  pr
}
