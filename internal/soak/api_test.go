//go:build linux

package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// code is the API, in its version so and so.
const code = `version <- %d

#* @get /echo
#* @serializer unboxedJSON
function(nonce) list(version = version, nonce = nonce)

#* @get /slow
#* @serializer unboxedJSON
function(ms, nonce, mark = "") {
  if (nzchar(mark)) file.create(mark)
  Sys.sleep(as.numeric(ms) / 1000)
  list(version = version, nonce = nonce)
}

#* @get /sum/<a:int>/<b:int>
#* @serializer unboxedJSON
function(a, b) list(version = version, sum = a + b)

#* @post /json
#* @parser json
#* @serializer unboxedJSON
function(req) {
  v <- req$body$values
  list(version = version, nonce = req$body$nonce, n = length(v), sum = sum(v))
}

#* @post /bytes
#* @parser octet
#* @serializer unboxedJSON list(digits = 17)
function(req, nonce) {
  b <- if (is.raw(req$body)) req$body else raw()
  list(version = version, nonce = nonce, n = length(b),
       sum = sum(as.integer(b) * ((seq_along(b) - 1) %%%% 251)))
}

#* @get /cookie
#* @serializer unboxedJSON
function(req, res) {
  res$setCookie("back", req$cookies$soak)
  list(version = version, nonce = req$cookies$soak)
}

#* @get /plot
#* @serializer png list(width = 400, height = 300)
function(n) plot(seq_len(as.integer(n)))

#* @get /fail
function() stop("as it is meant to")

#* @get /large
#* @serializer text
function(nonce, times) strrep(nonce, as.integer(times))

#* @assets www /www
list()
`

// broken are ways not to be an API.
var broken = []string{
	"#* @get /echo\nfunction( list(",
	"stop('this code does not load')",
	"library(aPackageThatNobodyHas)",
	"#* @get /echo\n#* @serializer nonesuch\nfunction() 1",
}

// newAPI makes the directory of the first version.
func newAPI(dir string) error {
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "www", "file.txt"), []byte(asset), 0o666); err != nil {
		return err
	}
	return publish(dir, fmt.Sprintf(code, 1))
}

// publish puts code in place, all of it at once, as an editor does.
func publish(dir, text string) error {
	tmp := filepath.Join(dir, "plumber.R.new")
	if err := os.WriteFile(tmp, []byte(text), 0o666); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "plumber.R"))
}

func anyOf[T any](rng *rand.Rand, all []T) T { return all[rng.IntN(len(all))] }
