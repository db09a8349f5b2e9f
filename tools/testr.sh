#!/bin/sh
# Tests the R package, installed into a directory of its own, against bin/rpipe.
set -eu
cd "$(dirname "$0")/.."
lib=$(mktemp -d)
trap 'rm -rf "$lib"' EXIT
R CMD INSTALL --no-docs --library="$lib" r/rpipe >"$lib/log" 2>&1 || { cat "$lib/log" >&2; exit 1; }
export R_LIBS="$lib${R_LIBS:+:$R_LIBS}" RPIPE_BIN="$PWD/bin/rpipe"
cd r/rpipe/tests
Rscript --vanilla -e 'testthat::test_dir("testthat", package = "rpipe", load_package = "installed", reporter = "summary", stop_on_failure = TRUE)'
