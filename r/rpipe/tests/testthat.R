library(testthat)
library(rpipe)

test_check("rpipe")
